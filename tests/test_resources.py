"""What a group's runs are given: from the plan to the run, and the GPUs of this machine shared out."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from experiments import machine
from experiments.plan import load_plan
from experiments.running.gpu_slots import GpuSlots, list_gpus
from experiments.running.slurm_jobs import list_parameters, make_job
from experiments.running.slurm_queue import hide_own_job
from experiments.spec import ConfigurationError, Resources
from experiments.status import RunStatus
from tests.made_up import make_run, waiting
from tests.small_repository import PLAN, make_repository


def load(folder: Path, defaults: str = "{}", group: str = "{}"):
    text = PLAN.replace("defaults: {", f"defaults: {{resources: {defaults}, ")
    text = text.replace("    grid:", f"    resources: {group}\n    grid:")
    return load_plan(make_repository(folder / "root", text) / "experiments" / "plan.yaml")


def test_a_groups_resources_come_before_the_defaults_and_the_first_group_of_a_run_counts(tmp_path: Path) -> None:
    plan = load(tmp_path, "{partition: main, hours: 2}", "{hours: 12, gpus: 0.5, cpus: 4, memory_gib: 7.5}")
    assert plan.run("tiny-z2-s0").resources == Resources(partition="main", hours=2)
    assert plan.run("tiny-z4-s0").resources == Resources("main", hours=12, gpus=0.5, cpus=4, memory_gib=7.5)
    assert plan.run("tiny-z3-s0").resources == Resources(partition="main", hours=2)


def test_a_rehearsal_is_for_this_machine(tmp_path: Path) -> None:
    path = load(tmp_path, "{partition: main}").path
    assert load_plan(path, smoke=True).run("smoke-z2-s0").resources == Resources()


@pytest.mark.parametrize(
    ("resources", "message"),
    [
        (
            "{hour: 1}",
            "unknown field 'hour'; the fields are partition, hours, quiet_minutes, cpus, gpus, memory_gib",
        ),
        ("{hours: 0}", "hours: found 0; expected a number above 0"),
        ("{quiet_minutes: -1}", "quiet_minutes: found -1; expected a number above 0"),
        ("{cpus: 1.5}", "cpus: found 1.5; expected a whole number"),
        ("{gpus: -0.5}", "gpus: found -0.5; expected 0 or more"),
        ("{memory_gib: many}", "memory_gib: found 'many'; expected a number"),
    ],
)
def test_wrong_resources_are_refused_with_file_group_and_field(tmp_path: Path, resources: str, message: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, group=resources)
    assert str(caught.value) == f"plan.yaml: groups: larger: resources: {message}"


def test_a_partition_is_a_plain_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="plan.yaml: defaults: resources: partition: found 'a b'; expected "):
        load(tmp_path, "{partition: a b}")


def test_runs_beside_each_other_get_the_gpu_with_the_fewest() -> None:
    slots = GpuSlots(["0", "1"])
    with slots.lease() as first, slots.lease() as second, slots.lease() as third:
        assert [first, second, third] == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("0", "1", "0")]
    with slots.lease() as again:
        assert again == {"CUDA_VISIBLE_DEVICES": "0"}


@pytest.mark.parametrize("gpus", [[], ["0"]])
def test_where_there_is_nothing_to_choose_a_run_sees_what_it_saw(gpus: list[str]) -> None:
    with GpuSlots(gpus).lease() as variables:
        assert variables == {}


@pytest.mark.parametrize(
    ("named", "gpus"), [(None, ["0", "1", "2"]), ("2, 5", ["2", "5"]), ("", []), ("-1", []), ("GPU-8f6a", ["GPU-8f6a"])]
)
def test_only_gpus_that_the_user_lets_us_see_are_handed_out(
    monkeypatch: pytest.MonkeyPatch, named: str | None, gpus: list[str]
) -> None:
    monkeypatch.setattr(machine, "count_gpus", lambda: 3)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if named is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert list_gpus() == gpus


@pytest.mark.parametrize("is_job", [True, False])
def test_a_driver_that_is_a_job_hides_that_and_what_a_user_has_set_stays(
    monkeypatch: pytest.MonkeyPatch, is_job: bool
) -> None:
    for name in [name for name in os.environ if name.startswith("SLURM_")]:
        monkeypatch.delenv(name)
    told = {"SLURM_CONF": "/etc/slurm.conf", "SLURM_MEM_PER_NODE": "4096"} | ({"SLURM_JOB_ID": "7"} if is_job else {})
    for name, value in told.items():
        monkeypatch.setenv(name, value)

    def read() -> dict[str, str]:
        return {name: value for name, value in os.environ.items() if name.startswith("SLURM_")}

    with pytest.raises(ZeroDivisionError), hide_own_job():
        assert read() == ({"SLURM_CONF": "/etc/slurm.conf"} if is_job else told)
        raise ZeroDivisionError
    assert read() == told


def task(**resources: float | str) -> RunStatus:
    return waiting(replace(make_run(0), resources=Resources(**resources)))


def test_slurm_is_asked_for_what_the_plan_gives_rounded_up(tmp_path: Path) -> None:
    wanted = task(partition="main", hours=0.99, cpus=4, gpus=2, memory_gib=7.0001)
    asked = list_parameters([wanted, wanted], tmp_path)
    assert {name: asked[name] for name in ("partition", "time", "cpus_per_task", "gpus_per_node", "mem")} == {
        "partition": "main", "time": 60, "cpus_per_task": 4, "gpus_per_node": 2, "mem": "7169M"
    }  # fmt: skip
    assert asked["array_parallelism"] == 2
    assert asked["additional_parameters"] == {"chdir": str(tmp_path), "requeue": True}


def test_slurm_is_asked_for_nothing_that_the_plan_leaves_open_but_a_time_and_a_core(tmp_path: Path) -> None:
    asked = list_parameters([task()], tmp_path)
    assert (asked["time"], asked["cpus_per_task"]) == (240, 1)
    assert asked.keys().isdisjoint({"partition", "mem", "gpus_per_node"})
    with pytest.raises(ConfigurationError, match=r"^gpus is 0\.5; Slurm gives whole ones"):
        list_parameters([task(gpus=0.5)], tmp_path)


def test_a_job_leaves_its_deadline_to_slurm_and_keeps_slurm_s_signals_from_its_kernel(tmp_path: Path) -> None:
    order = make_job(task(hours=2.0, quiet_minutes=5.0, cpus=4), tmp_path, tmp_path / "cache").order
    assert (order.run.resources.hours, order.run.resources.quiet_minutes) == (None, 5.0)
    assert (order.threads, order.shares_device, order.ignored_signals) == (4, True, ("USR2", "TERM", "CONT"))
