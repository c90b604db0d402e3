"""``make bench``: the benchmarks, as a table and one JSON line at the end."""

from __future__ import annotations

from bench import decide


def main() -> None:
    args = decide.arguments()
    done = decide.run(args)
    if not args.json:
        print(decide.table(done))
    print(decide.result_line(done))


if __name__ == "__main__":
    main()
