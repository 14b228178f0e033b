using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Tool.Artifacts;

namespace OrtCpr.Tests.OrtTraining;

// Artifacts that we write, in the genuine training runtime of ONNX Runtime 1.19.2 (its WebAssembly build, under Node).
[TestClass]
public sealed class GenuineRuntimeTests
{
    private static readonly string[] Models = ["mlp_dynamo", "lenet", "grokking_dynamo"];

    [TestMethod]
    [DoNotParallelize]
    public void Artifacts_TrainInTheGenuineRuntime_AsHere()
    {
        GenuinePackage.FindOrSkip();
        using var folder = new TemporaryFolder();
        for (int i = 0; i < Models.Length; i++)
        {
            FixturesCommand.Write(TestModels.Case($"models/{Models[i]}.safetensors"), folder.FolderPath, 20, i == 0
                ? [.. FixtureRecipes.Common, .. FixtureRecipes.Bounds] : FixtureRecipes.Common);
        }
        (int code, string output) = GenuinePackage.Run("node", "replay.mjs", folder.FolderPath);
        Assert.AreEqual(0, code, output);
        StringAssert.Contains(output, "30 passed, 0 failed");
    }

    // The same files in our session of the package's API; the script above has them in the package's own.
    [TestMethod]
    public void Artifacts_TrainInOurSession_AsTheyWereRecorded()
    {
        using var folder = new TemporaryFolder();
        foreach (string model in Models)
            FixturesCommand.Write(TestModels.Case($"models/{model}.safetensors"), folder.FolderPath, 20, FixtureRecipes.Common);
        string[] failed = [.. Directory.GetDirectories(folder.FolderPath)
            .Select(f => (Name: Path.GetFileName(f), Result: ReplayCommand.Replay(f, timedSteps: 1)))
            .Where(r => !r.Result.Ok || !r.Result.Text.EndsWith(" ms a step", StringComparison.Ordinal))
            .Select(r => $"{r.Name}: {r.Result.Text}")];
        Assert.IsEmpty(failed, string.Join('\n', failed));
        Assert.HasCount(Models.Length * FixtureRecipes.Common.Count, Directory.GetDirectories(folder.FolderPath));
    }

    [TestMethod]
    public void Checkpoint_CarriesTheStateOfTheConstraint()
    {
        OptimizerOptions options =
            new() { Groups = [UpdateRule.AdamCpr(constraint: new ConstrainNorm { Bound = Bound.TimesInitial(0.5) })] };
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.BatchNormalized(), new TrainingOptions { Optimizer = options });
        OrtCheckpoint checkpoint = OrtCheckpoint.Read(GenuineArtifacts.Checkpoint(graphs).ToBytes());
        CollectionAssert.AreEqual(new[] { "bn.running_mean", "bn.running_var" }, checkpoint.Frozen.Select(t => t.Name).ToArray());
        OrtParameterState weight = checkpoint.Optimizer!.States.Single(s => s.Parameter == "fc1.weight"),
            bias = checkpoint.Optimizer.States.Single(s => s.Parameter == "fc1.bias");
        double[] tail = weight.Momentums[1].Data!.ToDoubles()[^7..];
        double expected = 0.5 * graphs.InitialParameters["fc1.weight"].ToDoubles().Sum(x => x * x);
        CollectionAssert.AreEqual(new[] { 0, (double)(float)expected, 0, 0, 0, 1, 1 }, tail);
        Assert.AreEqual(0, bias.Momentums[1].Data!.ToDoubles()[^1], "biases are not constrained");
    }

    [TestMethod]
    public void WhatTheRuntimeCannotDo_IsRefused_AllAtOnce()
    {
        OptimizerOptions options = new()
        {
            Groups = [new UpdateRule { Maximize = true, Links = [new ScaleByAdam { AmsGrad = true }, new AddDecayedWeights(0.1)] }],
            Rescaling = new RescaleWeights(),
        };
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Linear(), new TrainingOptions { Optimizer = options });
        using var folder = new TemporaryFolder();
        string message = Assert.ThrowsExactly<OptionException>(() => GenuineArtifacts.Write(graphs, folder["out"])).Message;
        foreach (string part in new[] { "Maximize", "rescaling", "AmsGrad = True", "OnlyConstrained" })
        {
            StringAssert.Contains(message, part);
        }
        graphs = TrainingGraphBuilder.Build(TestModels.Linear(ElementType.Double), new TrainingOptions());
        StringAssert.Contains(Assert.ThrowsExactly<OptionException>(() => GenuineArtifacts.Write(graphs, folder["out"])).Message,
            "float32");
        Assert.IsFalse(Directory.Exists(folder["out"]));
    }
}
