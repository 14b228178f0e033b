using OrtCpr.Graph;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tests.Passes;

/// <summary>Damaged models through the whole builder, from bytes to the three graphs: built, or refused with an error
/// of ours.</summary>
[TestClass]
public sealed class MutatedModelTests
{
    [TestMethod]
    [DataRow("models/mlp_legacy.onnx", 3)]
    [DataRow("models/grokking_legacy.onnx", 4)]
    [DataRow("ops/batch_norm_training_4d.onnx", 5)]
    [DataRow("ops/pad_constant.onnx", 6)]
    public void MutatedModels_AreBuiltOrRefused(string name, int seed)
    {
        byte[] original = File.ReadAllBytes(TestModels.Case(name));
        var options = new TrainingOptions
        { Loss = new OutputLoss { Output = name.StartsWith("ops", StringComparison.Ordinal) ? "Y" : null } };
        int refused = Mutations.Survive(original, 300, seed, bytes => TrainingGraphBuilder.Build(bytes, options));
        Assert.IsGreaterThan(30, refused);
    }
}
