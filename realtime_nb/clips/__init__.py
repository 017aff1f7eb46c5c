"""Bundled speech: WAV files and their manifest. Read them through `realtime_nb.audio.bundled`."""
