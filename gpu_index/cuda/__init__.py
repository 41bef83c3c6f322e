"""Exact search on a CUDA device: Triton kernels, and the same steps in plain torch (the twin).

Needs torch and numpy, and triton for the kernels; imported only when an index asks for such a device.
"""
