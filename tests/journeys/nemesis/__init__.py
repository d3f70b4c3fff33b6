"""A nemesis run: clients work, everything they work with is killed, frozen, filled and taken away at random, and then it is counted.

`world`: the processes and the volume; `chaos`: what befalls them; `clients`: who works, and `ledger` what they were promised;
`receiver`: the business's webhook, unreliable itself; `verdicts`: what must be true once all is quiet; `truth`: what the node's tables say.
"""
