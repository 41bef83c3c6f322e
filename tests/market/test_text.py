"""The text encoder on a handful of texts, with the real offline model; its memory on hand-made vectors."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys

import numpy as np
import pytest

from market.errors import ArtefactError, UserError
from market.text import (
    DEFAULT_WEIGHTS_SHA256,
    SEGMENTS_BEFORE_MERGE,
    TextEncoder,
    VectorStore,
    check_weights,
    default_model_folder,
)

TEXTS = ["Registered nurse", "Nurse (RN)", "Welder", "Software developer for embedded systems in the car industry", ""]


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder()


@pytest.fixture
def no_network(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("the network was touched")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_importing_the_module_loads_no_torch():
    code = (
        "import sys, market.text; sys.exit(bool({'torch', 'transformers', 'sentence_transformers'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_default_model_loads_and_encodes_without_network(no_network):
    assert TextEncoder().encode(["Welder"]).shape == (1, 384)


def test_vectors_are_float32_of_length_one(encoder):
    vectors = encoder.encode(TEXTS)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), encoder.dimension) == (5, 384)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_two_names_of_one_occupation_are_closer_than_two_occupations(encoder):
    nurse, rn, welder, *_ = encoder.encode(TEXTS)
    assert nurse @ rn > 0.6 > nurse @ welder


def test_no_texts_give_no_rows(encoder):
    assert encoder.encode([]).shape == (0, 384)


def test_a_text_has_the_same_bytes_alone_and_in_any_crowd(encoder):
    crowd = [*TEXTS, *(f"Welder of grade {n}" for n in range(40))]
    together = encoder.encode(crowd)
    backwards = encoder.encode(crowd[::-1])[::-1]
    np.testing.assert_array_equal(together, backwards)
    for text, row in zip(TEXTS, together, strict=False):
        np.testing.assert_array_equal(encoder.encode([text])[0], row)


def test_equal_texts_are_encoded_once(encoder):
    seen = []
    vectors = encoder.encode(["Welder"] * 1000 + ["Nurse"], progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (2, 2)
    assert len(np.unique(vectors, axis=0)) == 2


def test_strange_texts_are_texts_too(encoder):
    vectors = encoder.encode(["\ud800", "\x00\n\t", "看護師", "x" * 100_000])
    assert np.isfinite(vectors).all()


def test_one_string_instead_of_a_list_is_refused(encoder):
    with pytest.raises(UserError, match=r"pass \[text\]"):
        encoder.encode("Welder")


def test_a_missing_text_is_refused(encoder):
    with pytest.raises(UserError, match="NoneType"):
        encoder.encode(["Welder", None])


def test_remembered_vectors_are_those_that_were_computed(encoder, tmp_path):
    fresh = encoder.encode(TEXTS)
    np.testing.assert_array_equal(TextEncoder(cache_dir=tmp_path).encode(TEXTS[1:3]), fresh[1:3])
    np.testing.assert_array_equal(TextEncoder(cache_dir=tmp_path).encode(TEXTS), fresh)


def test_remembered_texts_need_no_model(tmp_path):
    TextEncoder(cache_dir=tmp_path).encode(TEXTS)
    again = TextEncoder(cache_dir=tmp_path)
    steps = []
    again.encode(TEXTS, progress=lambda *step: steps.append(step))
    assert again._model is None
    assert steps == [(5, 5)]


def test_a_damaged_memory_is_noticed_and_encoded_again(encoder, tmp_path, caplog):
    TextEncoder(cache_dir=tmp_path).encode(TEXTS)
    (segment,) = tmp_path.rglob("*.safetensors")
    content = bytearray(segment.read_bytes())
    content[-1] ^= 1
    segment.write_bytes(content)
    np.testing.assert_array_equal(TextEncoder(cache_dir=tmp_path).encode(TEXTS), encoder.encode(TEXTS))
    assert "damaged" in caplog.text
    assert len(list(tmp_path.rglob("*.safetensors"))) == 1


def test_wrong_weights_are_refused_with_both_digests(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"something else")
    with pytest.raises(ArtefactError, match=f"expected {DEFAULT_WEIGHTS_SHA256}"):
        check_weights(tmp_path, DEFAULT_WEIGHTS_SHA256)
    with pytest.raises(ArtefactError, match="is missing"):
        check_weights(tmp_path / "empty", DEFAULT_WEIGHTS_SHA256)


def test_a_copy_of_the_model_is_the_same_encoder_and_another_model_is_not(encoder, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(default_model_folder(), copy, copy_function=os.symlink)
    assert TextEncoder(copy).identity == encoder.identity
    (copy / "extra.json").write_text("{}")
    assert TextEncoder(copy).identity != encoder.identity


def test_a_model_that_is_no_folder_is_refused_in_one_line():
    with pytest.raises(UserError, match="is not a folder") as error:
        TextEncoder("./no/such/model")
    assert "\n" not in str(error.value)


def test_a_folder_without_a_model_is_refused(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ArtefactError, match="can not be loaded"):
        TextEncoder(tmp_path).encode(["Welder"])


def rows(*values: float) -> np.ndarray:
    return np.array([[value, 1.0] for value in values], np.float32)


def test_store_returns_what_was_put_also_to_the_next_process(tmp_path):
    VectorStore(tmp_path, "m").put(["a", "b"], rows(1, 2))
    found = VectorStore(tmp_path, "m").get(["b", "c"])
    assert list(found) == ["b"]
    np.testing.assert_array_equal(found["b"], [2, 1])


def test_stores_of_two_models_do_not_mix(tmp_path):
    # the same first 16 characters, hence the same folder: the full identity is in every key
    VectorStore(tmp_path, "sixteen-letters-A").put(["a"], rows(1))
    assert VectorStore(tmp_path, "sixteen-letters-B").get(["a"]) == {}


def test_many_segments_become_one_and_nothing_is_lost(tmp_path):
    store = VectorStore(tmp_path, "m")
    for n in range(SEGMENTS_BEFORE_MERGE + 1):
        store.put([f"text {n}"], rows(n))
    assert len(list(store.folder.iterdir())) == 1
    again = VectorStore(tmp_path, "m")
    assert len(again) == len(store) == SEGMENTS_BEFORE_MERGE + 1
    np.testing.assert_array_equal(again.get(["text 7"])["text 7"], [7, 1])


def test_two_processes_may_write_one_store(tmp_path):
    one, two = VectorStore(tmp_path, "m"), VectorStore(tmp_path, "m")
    one.put(["a"], rows(1))
    two.put(["a", "b"], rows(1, 2))
    assert set(VectorStore(tmp_path, "m").get(["a", "b"])) == {"a", "b"}
