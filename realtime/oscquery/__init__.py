"""OSCQuery: the controls as a tree over HTTP, their changes over WebSocket, and the announcement of both.

After https://github.com/Vidvox/OSCQueryProposal. Everything but `server` and `announce` needs no third-party package.
"""
