"""A study of what each part of pretraining brings: equal short runs, evaluated alike."""
