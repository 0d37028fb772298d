"""integration: files of one list are read in the order in which they were sent; a "no" waits for none of them."""

from __future__ import annotations

from ingest_house import Ingest
from mailmaker.common.storage.ids import new_id
from mailmaker.ingest.storage import leases

GOOD = b"email\na@example.it\nb@example.it\n"


async def test_a_file_is_not_read_before_an_earlier_one_of_its_list_but_for_an_opt_out(
    ingest: Ingest,
) -> None:
    first = (await ingest.send(GOOD)).json()
    lease = new_id()
    async with ingest.db.platform() as tx:
        of = await leases.claim(tx, lease)
    assert of is not None
    second = (await ingest.send(GOOD + b"c@example.it\n")).json()
    assert not await ingest.read()
    says_no = (await ingest.send(GOOD, mode="opt_out")).json()
    assert await ingest.read()
    assert (await ingest.show(says_no["id"]))["state"] == "staged"
    assert (await ingest.show(second["id"]))["state"] == "received"
    async with ingest.db.account(of.account_id) as tx:
        await leases.give_back(tx, of, lease, crashed=False)
    for sent in (first, second):
        assert await ingest.read()
        assert (await ingest.show(sent["id"]))["state"] == "staged"
