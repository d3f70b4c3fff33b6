"""From a status to the callback that tells it, inside the caller's transaction."""

from collections.abc import Sequence

from satchel.db import Tx, callbacks, settings
from satchel.db import statuses as rows
from satchel.db.callbacks import News
from satchel.domain.application import webhook_url
from satchel.domain.statuses import Status, body_of, wanted


def record(tx: Tx, statuses: Sequence[Status]) -> None:
    """Keep statuses and put down the callbacks that the business wants, in the order given."""
    application = settings.application(tx)
    told = [status for status in statuses if rows.record(tx, status) and wanted(status.status, application)]
    news = [News(status.cause, status.recipient, body_of(status)) for status in told]
    callbacks.put_down(tx, news, webhook_url(application) is not None)
