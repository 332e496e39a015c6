"""ConvMixer, the method under study: the model, its data, its recipes and its training.

Nothing is imported here, so that naming the error class costs nothing; begin with ``model`` and ``train``.
"""


class ConvMixerError(ValueError):
    """A mistake that the caller can mend: an unknown name, a bad value, a damaged file, a training that diverged."""
