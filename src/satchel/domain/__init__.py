"""Pure values and rules of the product. No I/O, no clock of its own."""
