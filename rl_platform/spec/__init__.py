"""The TrainingJob: typed, bounded, defaulted; the same class on a laptop, in the driver and in the operator.

pydantic and a YAML reader only: nothing here may import another part of the library.
"""
