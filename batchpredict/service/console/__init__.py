"""The service in a browser: pages made on the server, and a small script for what is live."""

from batchpredict.service.console.interface import JobMethods, WatchMethods
from batchpredict.service.console.router import console

__all__ = ["JobMethods", "WatchMethods", "console"]
