"""`fewshot`: accuracy after few images, in three protocols."""
