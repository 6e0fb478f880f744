"""Recipes: the same steps you could have typed, with the reasons, checked whole and resumed where they stopped."""
