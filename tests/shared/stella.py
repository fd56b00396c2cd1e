"""Files as Stella saves them: header, preferences, units, documentation, and a display section."""

from pathlib import Path

_HEAD = """<?xml version="1.0" encoding="utf-8"?>
<xmile version="1.0" xmlns="http://docs.oasis-open.org/xmile/ns/XMILE/v1.0" xmlns:isee="http://iseesystems.com/XMILE">
	<header>
		<smile version="1.0" namespace="std, isee"/>
		<name>{name}</name>
		<uuid>00000000-0000-4000-8000-000000000000</uuid>
		<vendor>isee systems, inc.</vendor>
		<product version="3.7" isee:build_number="0" isee:saved_by_v1="true" lang="en">Stella Architect</product>
	</header>
	<sim_specs isee:sim_duration="1.5" isee:simulation_delay="0" isee:restore_on_start="false" method="{method}" \
time_units="Years" isee:instantaneous_flows="false"{specs}>
		<start>0</start>
		<stop>{stop}</stop>
		<dt>{dt}</dt>
	</sim_specs>
	<isee:prefs show_module_prefix="true" live_update_on_drag="true" layer="model"/>
	{before}
	<model>
		<variables>
			{variables}
		</variables>
		<views>
			<style color="black" background="white" font_size="10pt"/>
			<view isee:show_pages="false" page_width="768" page_height="596" show_page_bounds="true">{view}</view>
		</views>
	</model>
	{after}
</xmile>
"""


def stella(
    path: Path, variables: str, *, dt: str = "1", stop: str = "8", method: str = "Euler", specs: str = "",
    before: str = "", after: str = "", view: str = "",
) -> Path:  # fmt: skip
    """Write variables as a file that Stella saved; ``before`` are dimensions, ``after`` macros and other models."""
    text = _HEAD.format(
        name=path.stem, variables=variables, dt=dt, stop=stop, method=method, specs=specs, before=before, after=after,
        view=view,
    )  # fmt: skip
    path.write_text(text, encoding="utf-8")
    return path
