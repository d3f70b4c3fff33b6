"""A nemesis run: clients work, everything they work with is killed, frozen, filled and taken away at random, and then it is counted.

`world`: the processes and the volume; `chaos`: what befalls them; `clients`: who works, `keeper`: who looks after the node, and `ledger`
what they were promised; `receiver`: the business's webhook, and `links`: what links lead to, both unreliable themselves; `verdicts`: what
must be true once all is quiet; `truth`: what the node's tables say.
"""
