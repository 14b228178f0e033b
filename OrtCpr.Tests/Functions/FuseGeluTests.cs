using OrtCpr.Graph;
using OrtCpr.Graph.Losses;

namespace OrtCpr.Tests.Functions;

// The passes that put fused operators into a graph, by the operators that are there afterwards; that they compute the same is
// FunctionKernelTests' part.
[TestClass]
public sealed class FuseGeluTests
{
    [TestMethod]
    [DataRow("gpt2_dynamo")]
    [DataRow("gpt2_legacy")]
    public void GeluWrittenOut_AndCrossEntropy_BecomeOneOperatorEachWay(string model)
    {
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(TestModels.Case($"models/{model}.onnx"), new TrainingOptions { Loss = new CrossEntropyLoss() });
        string[] types = [.. graphs.Training.Graph.Nodes.Select(n => n.QualifiedType)];
        int gelus = types.Count(t => t == "ortcpr.GeluTanh");
        Assert.IsGreaterThan(0, gelus);
        Assert.AreEqual(gelus, types.Count(t => t == "ortcpr.GeluTanhGrad"));
        CollectionAssert.DoesNotContain(types, "Tanh");
        Assert.AreEqual(1, types.Count(t => t == "ortcpr.CrossEntropyRows"));
        Assert.AreEqual(1, types.Count(t => t == "ortcpr.CrossEntropyRowsGrad"));
    }
}
