"""What the other folders of tests share is on the path."""
import place  # noqa: F401
