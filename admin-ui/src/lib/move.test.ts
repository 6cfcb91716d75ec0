// Somebody types these commands into a shell: they have to be right.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { DiskSchema } from "@/gen/modelhub/v1/system_pb";
import { diskOf, folderProblem, moveSteps, quoted, tidyFolder } from "./move";

test("a folder is on the disk with the longest mount point above it", () => {
  const disks = ["/", "/mnt/big", "/mnt"].map((mountPoint) => create(DiskSchema, { mountPoint }));
  expect(diskOf(disks, "/mnt/big/modelhub")?.mountPoint).toBe("/mnt/big");
  expect(diskOf(disks, "/mnt/bigger")?.mountPoint).toBe("/mnt");
  expect(diskOf(disks, "/srv")?.mountPoint).toBe("/");
  expect(diskOf([], "/srv")).toBeUndefined();
});

test("folders that the store cannot move to", () => {
  expect(folderProblem("/data", "models")).toMatch(/absolute path/);
  expect(folderProblem("/data", "/data/")).toMatch(/already/);
  expect(folderProblem("/data", "/data/new")).toMatch(/inside/);
  expect(folderProblem("/data", "//")).toMatch(/below/);
  expect(folderProblem("/data", "/x/../data/y")).toMatch(/cannot contain/);
  expect(folderProblem("/data", "/x/.hidden")).toBeUndefined();
  expect(folderProblem("/data", "/data2")).toBeUndefined();
  expect(tidyFolder(" /a//b/ ")).toBe("/a/b");
});

test("what is typed into a shell is one word", () => {
  expect(quoted("/mnt/a-b_c.d")).toBe("/mnt/a-b_c.d");
  expect(quoted("/mnt/my models")).toBe("'/mnt/my models'");
  expect(quoted("/mnt/$(rm -rf x)'s")).toBe("'/mnt/$(rm -rf x)'\\''s'");
});

test("everything is copied twice: while the hub runs and while it is stopped", () => {
  const steps = moveSteps("/var/lib/modelhub/", "/mnt/big disk", "systemd", false);
  expect(steps).toHaveLength(4);
  const copy = "sudo rsync -aHS --delete --info=progress2 /var/lib/modelhub/ '/mnt/big disk'/";
  expect(steps[0]?.code).toContain(copy);
  expect(steps[1]?.code).toBe(`sudo systemctl stop modelhub\n${copy}`);
  expect(steps[2]?.code).toContain(`'Environment="MODELHUB_DATA_DIR=/mnt/big disk"'`);
  expect(moveSteps("/a", '/b"%n', "systemd", false)[2]?.code).toContain(String.raw`MODELHUB_DATA_DIR=/b\"%%n"`);
  expect(steps[3]?.code).toBe("sudo rm -r /var/lib/modelhub");
  expect(moveSteps("/a", "/b", "shell", false).some((step) => step.code.includes("sudo"))).toBe(false);
});

test("on the same disk the folder is renamed, and nothing is removed", () => {
  const steps = moveSteps("/srv/a", "/srv/new/b", "shell", true);
  expect(steps.map((step) => step.code)).toEqual([
    "# Press Ctrl-C in the hub's terminal, then\nmkdir -p /srv/new\nmv -T /srv/a /srv/new/b",
    "MODELHUB_DATA_DIR=/srv/new/b modelhub serve",
  ]);
  expect(moveSteps("/srv/a", "/b", "systemd", true)[0]?.code).toContain("sudo mkdir -p /\nsudo mv -T /srv/a /b");
});
