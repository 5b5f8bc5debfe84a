"""What tests and checks of a training are made with."""
