"""common.demo: the promise, shown on one machine to whoever asks: `mailmaker demo`."""
