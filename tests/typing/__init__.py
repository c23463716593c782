"""Files that are type-checked and never run: they use the public interface as an application does.

A mistake that the types must catch stands here with the error that mypy gives for it. A mark without an error is an
error itself, so a type that becomes too loose is seen here.
"""
