"""The TypeScript of the link is what the Python structs say."""

from __future__ import annotations

import msgspec
import msgspec.inspect
import pytest

from realtime_nb.widgets import messages_ts


def test_generated_typescript_is_fresh() -> None:
    assert messages_ts.TARGET.read_text(encoding="utf-8") == messages_ts.generate()
    assert messages_ts.ROWS_TARGET.read_text(encoding="utf-8") == messages_ts.generate_rows()


def test_check_fails_on_a_stale_file(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "messages.gen.ts"
    stale.write_text("// old", encoding="utf-8")
    monkeypatch.setattr(messages_ts, "TARGET", stale)
    assert messages_ts.main(["--check"]) == 1
    assert messages_ts.main([]) == 0
    assert messages_ts.main(["--check"]) == 0


def test_every_direction_has_its_own_optionality() -> None:
    text = messages_ts.generate()
    assert "drained?: boolean;" in text  # browser → kernel: a default may be left out
    assert "what_now: string;" in text  # kernel → browser: always present on the wire
    assert "rendered: Record<string, number>;" in text


def test_a_type_without_agreed_form_is_refused() -> None:
    with pytest.raises(TypeError, match="no TypeScript form"):
        messages_ts.typescript(msgspec.inspect.type_info(bytes))
