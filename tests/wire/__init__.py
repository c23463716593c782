"""The codecs, tested as tables: bytes in, messages out."""
