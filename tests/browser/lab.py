"""A real JupyterLab server and notebook pages in Chromium, for end-to-end tests.

::

    with Lab.start(tmp_path) as lab:                        # own home, own settings, a free port, a token
        lab.write_notebook("talk.ipynb", ["1 + 1"], kernel=KERNEL_7)
        with launch_chromium(microphone=wav) as browser:
            notebook = NotebookPage.open(lab, browser.new_page(), "talk.ipynb")
            notebook.run(0)                                 # waits until the cell is done, raises if it failed
            notebook.output_text(0)                         # "2"

Everything waits for states with a deadline; nothing sleeps for a time.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import nbformat
from playwright.sync_api import Browser, Locator, Page, sync_playwright

from tests.browser.chromium import find_chromium

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "test-results"
KERNEL_7 = "python3"
KERNEL_6 = "python3-ipykernel6"
KERNEL_6_PYTHON = ROOT / ".venv-ipykernel6" / "bin" / "python"
FAR_HOST = "lab.example"
"""A name for this server that is not loopback: `--host-resolver-rules=MAP lab.example 127.0.0.1` makes it known."""
START_TIMEOUT_S = 90.0
CELL_TIMEOUT_S = 60.0

SETTINGS: dict[str, dict[str, Any]] = {
    "@jupyterlab/apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Off-screen cells would not render their widgets.
    "@jupyterlab/notebook-extension/tracker": {"windowingMode": "none"},
}

CHROMIUM_ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


def kernels() -> dict[str, Path]:
    """Return the interpreters of the kernels that can be chosen, by kernel name."""
    found = {KERNEL_7: Path(sys.executable)}
    if KERNEL_6_PYTHON.exists():
        found[KERNEL_6] = KERNEL_6_PYTHON
    return found


@contextlib.contextmanager
def launch_chromium(*, microphone: Path | None = None, arguments: Sequence[str] = ()) -> Iterator[Browser]:
    """Launch Chromium headless.

    Args:
        microphone: a WAV file that the fake microphone plays once each time it is opened; a beeping device otherwise.
        arguments: further command-line arguments.
    """
    executable = find_chromium()
    if executable is None:
        raise RuntimeError("no Chromium: run `make setup-test`, or set REALTIME_NB_CHROMIUM to a browser's path")
    extra = [*arguments]
    if microphone is not None:
        extra.append(f"--use-file-for-fake-audio-capture={microphone}%noloop")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=[*CHROMIUM_ARGUMENTS, *extra])
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Lab:
    """A running JupyterLab server. Use `Lab.start`; it ends with its `with` block, kernels included."""

    directory: Path
    port: int
    token: str
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, base: Path, *, settings: dict[str, dict[str, Any]] | None = None, env: dict[str, str] | None = None
    ) -> Self:
        """Start a server with its own home below `base` and wait until it answers.

        Args:
            base: an empty directory.
            settings: Lab settings by plugin ("@jupyterlab/…/plugin"), over `SETTINGS`.
            env: further environment variables of the server and so of its kernels.
        """
        notebooks = base / "notebooks"
        notebooks.mkdir(parents=True)
        for name, python in kernels().items():
            _write_kernelspec(base / "share" / "kernels" / name, name, python)
        for plugin, values in {**SETTINGS, **(settings or {})}.items():
            file = base / "settings" / f"{plugin}.jupyterlab-settings"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(values))
        port, token, log = _free_port(), secrets.token_hex(16), base / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _server_command(port, token),
                cwd=notebooks,
                env=_server_environment(base) | (env or {}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        lab = cls(directory=notebooks, port=port, token=token, process=process, log=log)
        try:
            lab._wait_until_it_answers()
        except BaseException:
            lab.close()
            raise
        return lab

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def url(self, path: str = "", *, host: str = "127.0.0.1") -> str:
        """Return an address on this server, with the token. Another `host` makes another origin."""
        return f"http://{host}:{self.port}/{path}?token={self.token}"

    def request(self, path: str, *, method: str = "GET") -> Any:
        """Ask the server's REST API; JSON in, None for an empty answer."""
        call = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/{path}", method=method, headers={"Authorization": f"token {self.token}"}
        )
        with urllib.request.urlopen(call, timeout=20) as answer:
            body = answer.read()
        return json.loads(body) if body else None

    def write_notebook(self, name: str, source: Sequence[str] | Path, *, kernel: str = KERNEL_7) -> Path:
        """Write a notebook for a kernel into the server's directory: cells of code, or a copy of a file."""
        if isinstance(source, Path):
            notebook = nbformat.read(source, as_version=4)
        else:
            notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in source])
        notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel, "language": "python"}
        path = self.directory / name
        nbformat.write(notebook, path)
        return path

    def shutdown_kernels(self) -> None:
        """End every kernel of this server."""
        for session in self.request("api/sessions"):
            self.request(f"api/sessions/{session['id']}", method="DELETE")

    def close(self) -> None:
        """Stop the server and its kernels. Closing twice is fine."""
        if self.process.poll() is None:
            with contextlib.suppress(OSError):
                self.shutdown_kernels()
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout=20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_TIMEOUT_S
        while True:
            if self.process.poll() is not None:
                raise RuntimeError(f"JupyterLab ended with {self.process.returncode}:\n{self.log.read_text()[-4000:]}")
            try:
                self.request("api/status")
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)


def _write_kernelspec(folder: Path, name: str, python: Path) -> None:
    folder.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (folder / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": name, "language": "python"}))


def _free_port() -> int:
    """Return a free port below those that the system gives to whoever asks: the server takes it seconds later."""
    while True:
        port = secrets.choice(range(10_000, 30_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _server_command(port: int, token: str) -> list[str]:
    return [
        *(sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root"),
        *("--ServerApp.ip=127.0.0.1", f"--ServerApp.port={port}", "--ServerApp.port_retries=0"),
        *(f"--IdentityProvider.token={token}", "--ServerApp.terminals_enabled=False"),
        "--LabApp.expose_app_in_browser=True",
        *(f"--ServerApp.local_hostnames={name}" for name in ("localhost", FAR_HOST)),
    ]


def _server_environment(base: Path) -> dict[str, str]:
    folders = {
        "HOME": "home",
        "IPYTHONDIR": "ipython",
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_PATH": "share",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "MPLCONFIGDIR": "matplotlib",
    }
    for folder in folders.values():
        (base / folder).mkdir(parents=True, exist_ok=True)
    inherited = {k: v for k, v in os.environ.items() if not re.match(r"JUPYTER|OPENAI_|REALTIME_NB_|PYTEST", k)}
    return inherited | {name: str(base / folder) for name, folder in folders.items()}


@dataclass
class NotebookPage:
    """One notebook open in Lab's single-document mode. Cells are counted from 0, Markdown cells included.

    Attributes:
        console: every console message and page error so far, as "type: text".
    """

    lab: Lab
    page: Page
    console: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, lab: Lab, page: Page, name: str, *, host: str = "127.0.0.1") -> Self:
        """Open a notebook of the server's directory and wait until its kernel is idle."""
        notebook = cls(lab, page)
        page.on("console", lambda message: notebook.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: notebook.console.append(f"pageerror: {error}"))
        page.goto(lab.url(f"doc/tree/{name}", host=host))
        notebook.wait_ready()
        return notebook

    def wait_ready(self, *, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until the notebook is loaded and its kernel is idle; also after a reload or a restart."""
        self.wait_for(
            """() => {
                const panel = window.jupyterapp?.shell?.currentWidget;
                return Boolean(panel?.content?.widgets?.length) && panel.context.isReady
                    && panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === 'idle';
            }""",
            timeout_s=timeout_s,
        )

    def evaluate(self, script: str, argument: Any = None) -> Any:
        """Evaluate a JavaScript expression or function in the page and return its (awaited) value."""
        return self.page.evaluate(script, argument)

    def wait_for(self, condition: str, argument: Any = None, *, timeout_s: float = CELL_TIMEOUT_S) -> Any:
        """Wait until a JavaScript function returns something true, and return that."""
        return self.page.wait_for_function(condition, arg=argument, timeout=timeout_s * 1000).json_value()

    # --- running cells ---

    def start(self, index: int) -> None:
        """Start a cell and return at once."""
        self.evaluate(
            "(index) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = index; }",
            index,
        )
        self._start_command("notebook:run-cell", index)

    def wait_done(self, index: int, *, timeout_s: float = CELL_TIMEOUT_S) -> list[dict[str, Any]]:
        """Wait until a started cell has ended and return its outputs.

        Raises:
            AssertionError: the cell raised; the message has the traceback.
        """
        self._wait_command(index, timeout_s)
        return self._checked_outputs(index)

    def run(self, index: int, *, timeout_s: float = CELL_TIMEOUT_S) -> list[dict[str, Any]]:
        """Run a cell to its end and return its outputs. Raises as `wait_done`."""
        self.start(index)
        return self.wait_done(index, timeout_s=timeout_s)

    def is_running(self, index: int) -> bool:
        """Tell whether a started cell has not ended yet."""
        return bool(self.evaluate("(index) => window.realtimeNbRuns?.[index] === 'running'", index))

    def run_all(self, *, timeout_s: float = 4 * CELL_TIMEOUT_S) -> None:
        """Run all cells as the menu does and wait until the last has ended. Raises as `wait_done`."""
        self._start_command("notebook:run-all-cells", "all")
        self._wait_command("all", timeout_s)
        for index in range(self.cell_count()):
            self._checked_outputs(index)

    def set_source(self, index: int, source: str) -> None:
        """Replace what a cell says."""
        self.evaluate(
            "([i, text]) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.sharedModel.setSource(text)",
            [index, source],
        )

    def cell_count(self) -> int:
        """Return how many cells there are."""
        return int(self.evaluate("() => window.jupyterapp.shell.currentWidget.content.widgets.length"))

    def execution_count(self, index: int) -> int | None:
        """Return the number in the brackets beside a code cell."""
        return self.evaluate(
            "(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.executionCount ?? null", index
        )

    def save(self) -> None:
        """Save the notebook with its outputs; another page can then open it with the same kernel."""
        self.evaluate("() => window.jupyterapp.commands.execute('docmanager:save')")

    def restart_kernel(self) -> None:
        """Restart the kernel without asking and wait until it is idle again."""
        self.evaluate("() => window.jupyterapp.shell.currentWidget.sessionContext.session.kernel.restart()")
        self.wait_ready()

    # --- what came out ---

    def outputs(self, index: int) -> list[dict[str, Any]]:
        """Return a cell's outputs as nbformat dictionaries (none for Markdown)."""
        script = "(i) => window.jupyterapp.shell.currentWidget.content.widgets[i].model.outputs?.toJSON() ?? []"
        return list(self.evaluate(script, index))

    def output_text(self, index: int) -> str:
        """Return a cell's streams and plain-text results, joined."""
        parts = []
        for output in self.outputs(index):
            text = output.get("text", output.get("data", {}).get("text/plain", ""))
            parts.append(text if isinstance(text, str) else "".join(text))
        return "".join(parts)

    def wait_output(self, index: int, text: str, *, timeout_s: float = CELL_TIMEOUT_S) -> str:
        """Wait until a cell's plain text contains `text`; the cell may still run. Returns all of it."""
        self.wait_for(
            """([index, wanted]) => JSON.stringify(
                window.jupyterapp.shell.currentWidget.content.widgets[index].model.outputs?.toJSON() ?? []
            ).includes(JSON.stringify(wanted).slice(1, -1))""",
            [index, text],
            timeout_s=timeout_s,
        )
        return self.output_text(index)

    def output_area(self, index: int) -> Locator:
        """Return the rendered output area of a cell, for Playwright's locators and expectations."""
        return self.page.locator(".jp-Notebook .jp-Cell").nth(index).locator(".jp-Cell-outputArea")

    # --- looks ---

    def set_theme(self, name: str) -> None:
        """Switch Lab to "light" or "dark" and wait until it is drawn so."""
        theme = {"light": "JupyterLab Light", "dark": "JupyterLab Dark"}[name]
        self.evaluate("(theme) => window.jupyterapp.commands.execute('apputils:change-theme', {theme})", theme)
        self.wait_for("(light) => document.body.dataset.jpThemeLight === light", str(name == "light").lower())

    def screenshot(self, name: str, *, of: Locator | None = None) -> Path:
        """Save a picture of the page, or of one element, in test-results/ and return its path."""
        path = RESULTS / f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.png"
        path.parent.mkdir(exist_ok=True)
        (of or self.page).screenshot(path=path)
        return path

    def close(self) -> None:
        """Close the page and end the server's kernels. Closing twice is fine."""
        self.page.close()
        self.lab.shutdown_kernels()

    def _start_command(self, command: str, key: int | str) -> None:
        self.evaluate(
            """([command, key]) => {
                const runs = (window.realtimeNbRuns ??= {});
                runs[key] = 'running';
                window.jupyterapp.commands.execute(command).then(
                    () => { runs[key] = 'done'; }, (error) => { runs[key] = `failed: ${error}`; });
            }""",
            [command, key],
        )

    def _wait_command(self, key: int | str, timeout_s: float) -> None:
        self.wait_for("(key) => window.realtimeNbRuns?.[key] !== 'running'", key, timeout_s=timeout_s)

    def _checked_outputs(self, index: int) -> list[dict[str, Any]]:
        outputs = self.outputs(index)
        for output in outputs:
            if output["output_type"] == "error":
                traceback = re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(output["traceback"]))
                raise AssertionError(f"cell {index} raised {output['ename']}: {output['evalue']}\n{traceback}")
        return outputs


def copy_notebooks(lab: Lab) -> None:
    """Copy the course's notebooks to the server as they are."""
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        shutil.copy(path, lab.directory)
