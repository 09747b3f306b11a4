#!/usr/bin/env python3
"""Other people's clients against the embedded venue (R-FEED-2).

Runs ccxt (synchronous, and ccxt.pro over WebSockets) and python-binance, as they come from PyPI, against the venue that a
venue.json describes. Prints one line for each check and exits with 1 when one failed.

    python ccxt_check.py data/venue.json
"""

import asyncio
import json
import os
import ssl
import sys
from decimal import Decimal

import ccxt
import ccxt.pro

SYMBOL = "BTC/USDT"
MARKET = "BTCUSDT"
PATIENCE_S = 30

failures = []


def check(name, condition, detail=""):
    print(f"{'ok  ' if condition else 'FAIL'} {name}{': ' + str(detail) if detail and not condition else ''}", flush=True)
    if not condition:
        failures.append(name)


def guarded(name, body):
    """Runs a check; an exception is its failure, not the end of the others."""
    try:
        body()
    except Exception as error:  # noqa: BLE001 - whatever a client raises is what we are here to see
        check(name, False, f"{type(error).__name__}: {error}")


async def guarded_async(name, body):
    try:
        await asyncio.wait_for(body(), PATIENCE_S)
    except Exception as error:  # noqa: BLE001
        check(name, False, f"{type(error).__name__}: {error}")


def redirected(exchange, venue):
    """Points every URL of a ccxt client at the venue, wallets and futures included: nothing may leave this host."""
    rest = venue["urls"]["rest"]
    # ccxt tells spot from futures by the word in a WebSocket URL.
    streams = venue["urls"]["ws_streams"] + "/testnet"
    replaced = {}
    for name, url in exchange.urls["api"].items():
        if isinstance(url, str):
            path = url.split("//", 1)[1].partition("/")[2]
            replaced[name] = f"{rest}/{path}"
    replaced["ws"] = {
        "spot": f"{streams}/ws",
        "margin": f"{streams}/ws",
        "future": f"{streams}/ws",
        "delivery": f"{streams}/ws",
        "papi": f"{streams}/ws",
        "ws-api": {
            "spot": venue["urls"]["ws_api"],
            "future": venue["urls"]["ws_api"],
            "delivery": venue["urls"]["ws_api"],
        },
    }
    exchange.urls["api"] = replaced
    return exchange


def settings(venue):
    key = venue["keys"]["trade_hmac"]
    return {"apiKey": key["api_key"], "secret": key["secret"], "enableRateLimit": False}


def price_below(exchange, ticker, percent):
    """A price `percent` below the best bid, on the grid, as text."""
    bid = Decimal(str(ticker["bid"]))
    return exchange.price_to_precision(SYMBOL, str(bid * (100 - percent) / 100))


def sync_checks(venue):
    exchange = redirected(ccxt.binance({**settings(venue), "requests_trust_env": True}), venue)

    def markets():
        found = exchange.load_markets()
        check("ccxt load_markets", SYMBOL in found, list(found))
        market = found[SYMBOL]
        check("ccxt market: spot, active", market["spot"] and market["active"], market)
        check("ccxt market: tick size", Decimal(str(market["precision"]["price"])) == Decimal("0.01"), market["precision"])

    def public():
        book = exchange.fetch_order_book(SYMBOL, 20)
        check("ccxt fetch_order_book", len(book["bids"]) == 20 and book["bids"][0][0] < book["asks"][0][0], book)
        ticker = exchange.fetch_ticker(SYMBOL)
        check("ccxt fetch_ticker", ticker["last"] and ticker["bid"] < ticker["ask"], ticker)
        trades = exchange.fetch_trades(SYMBOL, limit=10)
        check("ccxt fetch_trades", len(trades) == 10 and all(t["price"] > 0 for t in trades), trades)
        candles = exchange.fetch_ohlcv(SYMBOL, "1m", limit=5)
        steps = {later[0] - earlier[0] for earlier, later in zip(candles, candles[1:])}
        check("ccxt fetch_ohlcv", len(candles) == 5 and steps == {60_000}, candles)
        check("ccxt fetch_time", abs(exchange.fetch_time() - exchange.milliseconds()) < 60_000)
        check("ccxt fetch_tickers", SYMBOL in exchange.fetch_tickers())
        check("ccxt fetch_bids_asks", SYMBOL in exchange.fetch_bids_asks())

    def private():
        balance = exchange.fetch_balance()
        check("ccxt fetch_balance", balance["USDT"]["free"] > 0 and balance["BTC"]["free"] > 0, balance.get("USDT"))
        ticker = exchange.fetch_ticker(SYMBOL)
        price = price_below(exchange, ticker, 10)
        order = exchange.create_order(SYMBOL, "limit", "buy", "0.01", price)
        check("ccxt create_order limit", order["status"] == "open", order)
        fetched = exchange.fetch_order(order["id"], SYMBOL)
        same = Decimal(str(fetched["price"])) == Decimal(price) and fetched["id"] == order["id"]
        check("ccxt fetch_order", same, fetched)
        check("ccxt fetch_open_orders", order["id"] in [o["id"] for o in exchange.fetch_open_orders(SYMBOL)])
        edited = exchange.edit_order(order["id"], SYMBOL, "limit", "buy", "0.02", price)
        check("ccxt edit_order (cancelReplace)", Decimal(str(edited["amount"])) == Decimal("0.02"), edited)
        cancelled = exchange.cancel_order(edited["id"], SYMBOL)
        check("ccxt cancel_order", cancelled["status"] == "canceled", cancelled)
        taken = exchange.create_order(SYMBOL, "market", "buy", "0.01")
        check("ccxt create_order market", taken["status"] == "closed" and Decimal(str(taken["filled"])) == Decimal("0.01"), taken)
        exchange.create_order(SYMBOL, "limit", "buy", "0.01", price, {"postOnly": True})
        exchange.create_order(SYMBOL, "limit", "buy", "0.01", price)
        all_cancelled = exchange.cancel_all_orders(SYMBOL)
        check("ccxt cancel_all_orders", len(all_cancelled) == 2 and not exchange.fetch_open_orders(SYMBOL), all_cancelled)
        trades = exchange.fetch_my_trades(SYMBOL)
        check("ccxt fetch_my_trades", taken["id"] in [t["order"] for t in trades], trades)
        check("ccxt fetch_orders", len(exchange.fetch_orders(SYMBOL)) >= 4)
        refused = None
        try:
            exchange.create_order(SYMBOL, "limit", "buy", "100", price)
        except ccxt.InsufficientFunds as error:
            refused = error
        check("ccxt InsufficientFunds", refused is not None)
        try:
            exchange.cancel_order("1", SYMBOL)
            check("ccxt OrderNotFound", False)
        except ccxt.OrderNotFound:
            check("ccxt OrderNotFound", True)

    guarded("ccxt markets", markets)
    guarded("ccxt public", public)
    guarded("ccxt private", private)

    def ed25519():
        key = venue["keys"]["trade_ed25519"]
        signer = redirected(
            ccxt.binance({"apiKey": key["api_key"], "secret": key["private_key_pem"], "requests_trust_env": True}), venue
        )
        check("ccxt fetch_balance, Ed25519 key", signer.fetch_balance()["USDT"]["free"] > 0)

    guarded("ccxt Ed25519", ed25519)


async def pro_checks(venue):
    exchange = redirected(ccxt.pro.binance({**settings(venue), "cafile": venue["ca"]}), venue)

    async def market_data():
        await exchange.load_markets()
        book = await exchange.watch_order_book(SYMBOL)
        before = book["nonce"]
        for _ in range(5):
            book = await exchange.watch_order_book(SYMBOL)
        check("ccxt.pro watch_order_book", book["nonce"] > before and book["bids"][0][0] < book["asks"][0][0], book["nonce"])
        ticker = await exchange.watch_ticker(SYMBOL)
        check("ccxt.pro watch_ticker", ticker["last"] and ticker["last"] > 0, ticker)
        trades = await exchange.watch_trades(SYMBOL)
        check("ccxt.pro watch_trades", len(trades) > 0 and trades[0]["symbol"] == SYMBOL, trades)
        candles = await exchange.watch_ohlcv(SYMBOL, "1m")
        check("ccxt.pro watch_ohlcv", len(candles) > 0, candles)
        best = await exchange.watch_bids_asks([SYMBOL])
        check("ccxt.pro watch_bids_asks", SYMBOL in best, best)

    async def own_orders():
        ticker = await exchange.fetch_ticker(SYMBOL)
        price = price_below(exchange, ticker, 10)
        watching = asyncio.ensure_future(exchange.watch_orders(SYMBOL))
        trades = asyncio.ensure_future(exchange.watch_my_trades(SYMBOL))
        # The subscription must stand before the order is placed.
        await asyncio.sleep(2)
        order = await exchange.create_order_ws(SYMBOL, "limit", "buy", "0.01", price)
        check("ccxt.pro create_order_ws", order["status"] == "open", order)
        seen = await watching
        check("ccxt.pro watch_orders", order["id"] in [o["id"] for o in seen], seen)
        fetched = await exchange.fetch_order_ws(order["id"], SYMBOL)
        check("ccxt.pro fetch_order_ws", fetched["id"] == order["id"], fetched)
        check("ccxt.pro fetch_open_orders_ws", len(await exchange.fetch_open_orders_ws(SYMBOL)) == 1)
        cancelled = await exchange.cancel_order_ws(order["id"], SYMBOL)
        check("ccxt.pro cancel_order_ws", cancelled["status"] == "canceled", cancelled)
        taken = await exchange.create_order_ws(SYMBOL, "market", "sell", "0.01")
        check("ccxt.pro create_order_ws market", taken["status"] == "closed", taken)
        mine = await trades
        check("ccxt.pro watch_my_trades", taken["id"] in [t["order"] for t in mine], mine)
        await exchange.create_order_ws(SYMBOL, "limit", "buy", "0.01", price)
        await exchange.cancel_all_orders_ws(SYMBOL)
        check("ccxt.pro cancel_all_orders_ws", not await exchange.fetch_open_orders(SYMBOL))
        # ccxt 4.5.90 reads the answer as a futures account's and shows no balances; the answer itself is what counts.
        balance = (await exchange.fetch_balance_ws())["info"]["balances"]
        check("ccxt.pro fetch_balance_ws", any(b["asset"] == "USDT" for b in balance), balance)

    await guarded_async("ccxt.pro market data", market_data)
    await guarded_async("ccxt.pro own orders", own_orders)
    await exchange.close()


async def python_binance_checks(venue):
    try:
        from binance import AsyncClient, BinanceSocketManager, Client
    except ImportError as error:
        check("python-binance import", False, error)
        return
    rest, key = venue["urls"]["rest"], venue["keys"]["trade_hmac"]
    for kind in (Client, AsyncClient):
        kind.API_URL = kind.API_TESTNET_URL = rest + "/api"
        kind.MARGIN_API_URL = rest + "/sapi"
        kind.WS_API_URL = kind.WS_API_TESTNET_URL = venue["urls"]["ws_api"]
    BinanceSocketManager.STREAM_URL = venue["urls"]["ws_streams"] + "/"

    def sync():
        client = Client(key["api_key"], key["secret"], requests_params={"verify": venue["ca"]})
        check("python-binance exchange info", client.get_symbol_info(MARKET)["status"] == "TRADING")
        bid = Decimal(client.get_orderbook_ticker(symbol=MARKET)["bidPrice"])
        price = str((bid * 9 / 10).quantize(Decimal("0.01")))
        order = client.create_order(
            symbol=MARKET, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.01", price=price
        )
        check("python-binance create_order", order["status"] == "NEW", order)
        # This client sends a DELETE's parameters in its body.
        cancelled = client.cancel_order(symbol=MARKET, orderId=order["orderId"])
        check("python-binance cancel_order", cancelled["status"] == "CANCELED", cancelled)
        check("python-binance get_account", any(b["asset"] == "USDT" for b in client.get_account()["balances"]))

    guarded("python-binance", sync)

    async def streams():
        from aiohttp import TCPConnector

        context = ssl.create_default_context(cafile=venue["ca"])
        client = await AsyncClient.create(
            key["api_key"], key["secret"], session_params={"connector": TCPConnector(ssl=context)}
        )
        manager = BinanceSocketManager(client)
        async with manager.trade_socket(MARKET) as socket:
            message = await socket.recv()
            check("python-binance trade_socket", message["e"] == "trade", message)
        async with manager.user_socket() as socket:
            await client.create_order(symbol=MARKET, side="BUY", type="MARKET", quantity="0.01")
            message = await socket.recv()
            event = message.get("event", message)
            check("python-binance user_socket", event["e"] == "executionReport", message)
        await client.close_connection()

    await guarded_async("python-binance streams", streams)


def main():
    if len(sys.argv) < 2:
        print(f"usage: {sys.argv[0]} VENUE.JSON", file=sys.stderr)
        return 2
    with open(sys.argv[1], encoding="utf-8") as file:
        venue = json.load(file)
    # Two libraries, three ways to be told of an authority.
    os.environ["REQUESTS_CA_BUNDLE"] = venue["ca"]
    os.environ["SSL_CERT_FILE"] = venue["ca"]
    print(f"ccxt {ccxt.__version__}", flush=True)
    sync_checks(venue)
    asyncio.run(pro_checks(venue))
    asyncio.run(python_binance_checks(venue))
    print(f"{len(failures)} failed" if failures else "all passed", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
