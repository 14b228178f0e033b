using OrtCpr.Graph;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Tests.OrtTraining;

[TestClass]
public sealed class OrtCheckpointTests
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "Data", "ort-artifacts");

    // Not written by the runtime.
    private static readonly string HandMade = Path.Combine(Folder, "mlp_cpr_in_graph", "checkpoint");

    private static IEnumerable<object[]> Files =>
        Directory.EnumerateFiles(Folder, "*checkpoint*", SearchOption.AllDirectories)
        .Where(f => !f.EndsWith(".pbseq", StringComparison.Ordinal) && f != HandMade)
        .Select(f => new object[] { Path.GetRelativePath(Folder, f) });

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void FilesOfTheRuntime_AreReproducedByteForByte(string file)
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(Folder, file));
        CollectionAssert.AreEqual(bytes, OrtCheckpoint.Load(Path.Combine(Folder, file)).ToBytes());
    }

    [TestMethod]
    public void StepTwenty_HoldsStateAndProperties()
    {
        OrtCheckpoint c = OrtCheckpoint.Load(Path.Combine(Folder, "mlp_ce_adamw", "checkpoint.step20"));
        Assert.AreEqual(20, c.Optimizer!.Step);
        Assert.AreEqual(0.001f, c.Optimizer.InitialLearningRate);
        CollectionAssert.AreEqual(new[] { "0.bias", "0.weight", "2.bias", "2.weight" }, c.Trainable.Select(t => t.Name).ToArray());
        Assert.AreEqual("Float[16,10]", c.Trainable[1].Data!.ToString());
        Assert.AreEqual(3L, c.Properties["epoch"]);
        Assert.AreEqual("mlp_ce_adamw", c.Properties["note"]);
    }

    [TestMethod]
    public void WhatIsNotOurs_SurvivesARoundTrip()
    {
        OrtCheckpoint c = OrtCheckpoint.Load(Path.Combine(Folder, "mlp_ce_adamw", "checkpoint.step20"));
        OrtOptimizerGroup group = c.Optimizer!;
        OrtParameterState first = group.States[0];
        c = c with
        {
            Frozen = [new("f16", TensorData.From<Half>([(Half)1, (Half)2], 2)), new("text", TensorData.FromStrings(["a", "ß"], 2)),
                new("empty", TensorData.From<long>([], 0, 3)), new("scalar", TensorData.Scalar(true))],
            Groups = [group with { States = [first with { Momentums = [.. first.Momentums, new("momentum2", TensorData.Scalar(1.5)),
                new("cpr_lambda", TensorData.From<float>([3], 1))] }, .. group.States.Skip(1)] }, new("other", long.MaxValue, 0.5f, [])],
            Properties = new Dictionary<string, object>(c.Properties) { [""] = 1L << 40, ["ä"] = "ö", ["zero"] = 0f },
        };
        byte[] bytes = c.ToBytes();
        OrtCheckpoint again = OrtCheckpoint.Read(bytes);
        CollectionAssert.AreEqual(bytes, again.ToBytes());
        Assert.AreEqual(1L << 40, again.Properties[""]);
        Assert.AreEqual("other", again.Groups[1].Name);
        Assert.AreEqual("Bool[]", again.Frozen[3].Data!.ToString());
        CollectionAssert.AreEqual("ß"u8.ToArray(), again.Frozen[1].Data!.Strings![1].ToArray());
    }

    [TestMethod]
    public void LargeTensors_GoToAFileBesideIt()
    {
        using TemporaryFolder folder = new();
        OrtCheckpoint c = OrtCheckpoint.Load(Path.Combine(Folder, "mlp_ce_adamw", "checkpoint.step20"));
        OrtCheckpointWriter.Save(c, folder["c"], inlineLimit: 100);
        Assert.AreEqual("c c.data", folder.Listing);
        CollectionAssert.AreEqual(c.ToBytes(), OrtCheckpoint.Load(folder["c"]).ToBytes());
        CheckpointException error = Assert.ThrowsExactly<CheckpointException>(() => OrtCheckpoint.Read(File.ReadAllBytes(folder["c"])));
        StringAssert.Contains(error.Message, "another file");
    }

    [TestMethod]
    public void Directory_OfVersion115_IsRead()
    {
        OrtCheckpoint c = OrtCheckpoint.Load(Path.Combine(Folder, "legacy_1.15_directory", "checkpoint.step3"));
        Assert.AreEqual(3, c.Optimizer!.Step);
        CollectionAssert.AreEqual(new[] { "momentum0", "momentum1" }, c.Optimizer.States[1].Momentums.Select(m => m.Name).ToArray());
        Assert.AreEqual(3L, c.Properties["epoch"]);
        CollectionAssert.AreEqual(c.ToBytes(), OrtCheckpoint.Read(c.ToBytes()).ToBytes());
    }

    [TestMethod]
    public void DamagedFiles_GiveOurErrors()
    {
        byte[] bytes = File.ReadAllBytes(Path.Combine(Folder, "mlp_ce_adamw", "checkpoint.step20"));
        int refused = Mutations.Survive(bytes, 3000, seed: 5, mutated => OrtCheckpoint.Read(mutated));
        Assert.IsGreaterThan(1000, refused);
        byte[] sequence = File.ReadAllBytes(Path.Combine(Folder, "legacy_1.15_directory", "checkpoint.step3", "paramtrain_tensors.pbseq"));
        Assert.IsGreaterThan(500, Mutations.Survive(sequence, 2000, seed: 6, mutated => OrtCheckpointDirectory.Tensors(mutated, "x")));
    }

    [TestMethod]
    public void Strangers_AreRefused()
    {
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() => OrtCheckpoint.Read("0123456789"u8.ToArray())).Message,
            "ODTC");
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() => OrtCheckpoint.Read(Array.Empty<byte>())).Message, "damaged");
        OrtCheckpoint three = new() { Version = 3 };
        StringAssert.Contains(Assert.ThrowsExactly<CheckpointException>(() => OrtCheckpoint.Read(three.ToBytes())).Message, "version 3");
        Assert.ThrowsExactly<FileAccessException>(() => OrtCheckpoint.Load("/no/such/file"));
    }
}
