using System.Diagnostics;
using OrtCpr.Checkpoints;

namespace OrtCpr.Tests.Samples;

// The main job, saving after every epoch, killed without warning at random moments: the checkpoint is always whole, and the run goes on
// from it.
[TestClass]
public sealed class KilledRunTests
{
    private const int Kills = 4;

    private static Process Start(string folder)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            WorkingDirectory = folder
        };
        foreach (string argument in new[] { Path.Combine(AppContext.BaseDirectory, "Grokking.dll"), "--epochs", "1000", "--save_every",
            "1", "--eval_every", "1000", "--threads", "1", "--out", folder })
        {
            start.ArgumentList.Add(argument);
        }

        if (File.Exists(Path.Combine(folder, "checkpoint.safetensors"))) start.ArgumentList.Add("--resume");
        Process process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    [TestMethod]
    public void CheckpointIsWhole_AfterEveryKill_AndTheRunGoesOn()
    {
        using var folder = new TemporaryFolder();
        var random = new Random(5);
        long steps = 0;
        for (int kill = 0; kill < Kills; kill++)
        {
            using Process process = Start(folder.FolderPath);
            DateTime limit = DateTime.UtcNow.AddSeconds(60);
            // The start is saved too; what counts is a checkpoint of later steps.
            while (Reached(folder) <= steps && !process.HasExited && DateTime.UtcNow < limit) Thread.Sleep(5);
            Assert.IsFalse(process.HasExited, "the run ended by itself");
            Assert.IsGreaterThan(steps, Reached(folder), "no checkpoint within a minute");
            Thread.Sleep(random.Next(400));
            process.Kill();
            process.WaitForExit();
            long reached = Reached(folder);
            Assert.IsGreaterThan(steps, reached, "the run went on from where it was killed");
            steps = reached;
        }
    }

    // Steps of the checkpoint, which is whole at any time; 0 where there is none yet.
    private static long Reached(TemporaryFolder folder)
    {
        if (!File.Exists(folder["checkpoint.safetensors"])) return 0;
        using SafetensorsFile file = SafetensorsFile.Read(folder["checkpoint.safetensors"]);
        return file.Tensors["head.weight.step"].ToInt64s()[0];
    }
}
