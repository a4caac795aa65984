"""Small environments with known answers, which the example jobs and the learning tests train on."""
