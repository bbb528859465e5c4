"""The test suite; its folders mirror saelib/."""
