ÿÿ This is not a SavedModel.
