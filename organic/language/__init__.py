"""Text: concepts and their names, fine-tuning of the sentence encoder, its fast student, exact ranking of texts."""
