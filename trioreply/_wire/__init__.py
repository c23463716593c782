"""Sans-IO codecs: bytes in, messages out, and back. Nothing here waits or owns a socket."""
