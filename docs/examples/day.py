"""Draws a device's route and speed over a day.

    pip install httpx pandas pyarrow matplotlib
    TOKEN=... python day.py http://127.0.0.1:5000 0A3F73 2020-07-01 America/Sao_Paulo

The token is one of POST /login, or better one of POST /api/v1/tokens/ with the
scope `read` for this device alone. The drawing is day.png.
"""

import io
import os
import sys
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import httpx
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import pandas as pd


def read_day(client: httpx.Client, device: str, day: str, zone: str) -> pd.DataFrame:
    """The rows of a local day with a fix. Parquet: typed columns, and nothing is cut."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = start + timedelta(days=1) - timedelta(seconds=1)
    answer = client.get(
        "/api/v1/report",
        params={
            "device_id": device,
            "from": start.isoformat(),
            "to": end.isoformat(),
            "format": "parquet",
        },
    )
    if answer.is_error:
        sys.exit(f"{answer.status_code}: {answer.json()['detail']}")
    rows = pd.read_parquet(io.BytesIO(answer.content))
    rows["recorded_at"] = rows["recorded_at"].dt.tz_convert(zone)
    return rows[rows["gps_fix"]]


def read_trips(client: httpx.Client, device: str, day: str, zone: str) -> list[dict]:
    """The trips that touch the day, as JSON."""
    start = datetime.fromisoformat(day).replace(tzinfo=ZoneInfo(zone))
    end = start + timedelta(days=1) - timedelta(seconds=1)
    params = {"device_id": device, "from": start.isoformat(), "to": end.isoformat(), "tz": zone}
    answer = client.get("/api/v1/report/trips", params=params)
    answer.raise_for_status()
    return answer.json()["trips"]


def draw(rows: pd.DataFrame, trips: list[dict], title: str) -> None:
    figure, (route, speed) = plt.subplots(2, 1, figsize=(8, 10), height_ratios=(2, 1))
    route.plot(rows["longitude"], rows["latitude"], linewidth=1)
    route.set(title=title, xlabel="longitude", ylabel="latitude")
    route.set_aspect("equal", adjustable="datalim")
    speed.plot(rows["recorded_at"], rows["speed_kmh"], linewidth=0.8)
    for trip in trips:
        speed.axvspan(pd.Timestamp(trip["start"]), pd.Timestamp(trip["end"]), alpha=0.15)
    speed.set(xlabel="local time", ylabel="km/h")
    speed.tick_params(axis="x", rotation=30)
    figure.tight_layout()
    figure.savefig("day.png", dpi=120)


def main() -> None:
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    url, device, day, zone = sys.argv[1:]
    headers = {"Authorization": f"Bearer {os.environ['TOKEN']}"}
    with httpx.Client(base_url=url, headers=headers, timeout=60) as client:
        rows = read_day(client, device, day, zone)
        trips = read_trips(client, device, day, zone)
    if rows.empty:
        sys.exit(f"{device} sent no position on {day}")
    draw(rows, trips, f"{device}, {day}: {len(rows)} positions, {len(trips)} trips")
    print(f"day.png: {len(rows)} positions, {len(trips)} trips")


if __name__ == "__main__":
    main()
