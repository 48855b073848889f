"""The checks of every page's exercises: a module a page, whose ``EXERCISES`` lists them."""
