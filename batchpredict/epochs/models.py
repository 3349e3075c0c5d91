"""Which model an epoch is scored with."""

from __future__ import annotations

from dataclasses import dataclass

from batchpredict import storage
from batchpredict.errors import ModelUnusable, NoMatch, NotListed
from batchpredict.models import model_digest


@dataclass(frozen=True)
class FixedModel:
    """The SavedModel in a folder. `uri`: its absolute path, or its URL."""

    uri: str

    def choose(self) -> str:
        """The model's URI. Raises ModelUnusable: it is not there."""
        model_digest(self.uri)
        return self.uri


@dataclass(frozen=True)
class NewestVersion:
    """Of the folders of a folder that are named by numbers, the one with the highest, as TensorFlow Serving does.

    A folder that holds no `saved_model.pb` is no version, or not one yet.
    https://www.tensorflow.org/tfx/serving/serving_config

    Attributes:
      base: the folder's absolute path, or its URL.
      field: that names it, for errors.
    """

    base: str
    field: str = "uri"

    def choose(self) -> str:
        """The URI of the newest version. Raises ModelUnusable: there is none, or they cannot be listed."""
        versions = {}
        try:
            for file in storage.expand(storage.join(self.base, "*", "saved_model.pb*")):
                folder = storage.parent(file.url)
                if storage.name_of(folder).isdecimal() and storage.name_of(file.url).endswith((".pb", ".pbtxt")):
                    versions[int(storage.name_of(folder))] = folder
        except NotListed as error:
            raise ModelUnusable(f"{self.field}: {error}") from error
        except NoMatch:
            pass
        if not versions:
            raise ModelUnusable(
                f"{self.field}: '{self.base}' holds no version: no folder that is named by a number and has a "
                "saved_model.pb in it"
            )
        return versions[max(versions)]
