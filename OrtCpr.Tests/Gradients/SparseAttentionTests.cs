using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>What the property test cannot show of SparseAttention: sequences of several lengths in one batch, and that
/// training and evaluation run without shared buffers.</summary>
[TestClass]
public sealed class SparseAttentionTests
{
    private static RuleCase Case(int total, int fresh) =>
        RuleCases.Sparse(total, 6, [RuleCases.Local, RuleCases.Strided],
            [RuleCases.X(2, fresh, 32), RuleCases.X(2, fresh, 16), RuleCases.X(2, fresh, 16)]);

    /// <summary>The kernel writes the probabilities of a sequence for the longest length and reads them for its own, so
    /// that it is right for sequences of one length only. The reference is therefore the kernel, and the gradient, of
    /// each sequence alone.</summary>
    [TestMethod]
    [DataRow(6, 1, 3)]
    [DataRow(5, 2, 4)]
    [DataRow(5, 5, 3)]
    public void SequencesOfTwoLengths_AreWhatTheyAreAlone(int total, int fresh, int shorter)
    {
        RuleCase row = Case(total, fresh);
        (byte[] model, string[] outputs) = RuleCheck.Write(row, dynamic: true, ElementType.Float);
        string[] wrt = ["x0", "x1", "x2", "x3", "x4"], gradients = [.. wrt.Select(GradientModel.GradientOf)];
        InferenceSession kernel = RuleCheck.Open(model);
        InferenceSession back = RuleCheck.Open(GradientModel.Build(ModelFile.Load(model), ["y0"], wrt).ToBytes());
        Dictionary<string, TensorData> feeds = RuleCheck.Named(row.Inputs.Select(i => i?.ToTensor(ElementType.Float)))
            .ToDictionary(StringComparer.Ordinal);
        bool prompt = total == fresh;
        // Queries of padding at the end of a prompt are undefined.
        float[] dy = [.. RuleCases.X(2, fresh, 32).Values.Select((v, i) => prompt && i / 32 >= fresh + shorter ? 0 : (float)v)];
        feeds[GradientModel.CotangentOf("y0")] = TensorData.From<float>(dy, 2, fresh, 32);
        feeds["x8"] = TensorData.From<int>([total, shorter], 2);
        Dictionary<string, TensorData> both = RuleCheck.Evaluate(back, feeds, ["y0", .. gradients]);
        for (int i = 0; i < 2; i++)
        {
            int length = i == 0 ? total : shorter, positions = prompt ? length : fresh;
            Dictionary<string, TensorData> alone = feeds.ToDictionary(f => f.Key, f => Of(f.Value, i, positions), StringComparer.Ordinal);
            (alone["x7"], alone["x8"]) = (TensorData.From<int>([length], 1), TensorData.From<int>([length], 1));
            Dictionary<string, TensorData> one = RuleCheck.Evaluate(back, alone, ["y0", .. gradients]);
            foreach (string name in (string[])["y0", .. gradients]) Near(one[name], Of(both[name], i, positions), name);
            alone.Remove(GradientModel.CotangentOf("y0"));
            Near(RuleCheck.Bound(kernel, alone, outputs, row.Shared)["y0"], one["y0"], "the kernel");
        }
    }

    [TestMethod]
    public void TrainingAndEvaluation_LeaveTheCallersCacheAlone()
    {
        RuleCase row = Case(5, 2);
        RuleCase weighted = row with
        {
            Body = (g, x) =>
            {
                x[0] = g.Mul(x[0]!, TestModels.Weight(g.Graph, "weight", 32));
                return [g.ReduceMean(g.Ops(row.Op, 3, x, row.Attributes)[0], false)];
            },
        };
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(RuleCheck.Write(weighted, dynamic: false, ElementType.Float).Model, new TrainingOptions
            { Loss = new OutputLoss() });
        using var driver = new TrainingDriver(graphs);
        using var batch = new Batch();
        foreach ((string name, Feed feed) in RuleCheck.Named(row.Inputs)) batch.Add(name, feed.ToTensor(ElementType.Float));
        byte[] before = batch.Tensors["x3"].GetTensorMutableRawData().ToArray();
        double loss = driver.TrainStep(batch);
        using Evaluation evaluation = driver.EvalStep(batch);
        Assert.AreEqual(loss, evaluation.Loss, 1e-6);
        driver.OptimizerStep();
        driver.LazyResetGrad();
        Assert.IsLessThan(loss, driver.TrainStep(batch));
        CollectionAssert.AreEqual(before, batch.Tensors["x3"].GetTensorMutableRawData().ToArray());
    }

    /// <summary>One sequence; of three axes, its first positions.</summary>
    private static TensorData Of(TensorData tensor, int sequence, int positions)
    {
        if (tensor.Dimensions[0] != 2 || tensor.Dimensions.Count < 3) return tensor;
        long[] dims = [1, .. tensor.Dimensions.Skip(1)];
        if (dims.Length == 3) dims[1] = positions;
        int count = (int)dims.Aggregate((n, d) => n * d), half = (int)tensor.ElementCount / 2;
        return TensorData.From<float>(tensor.AsSpan<float>().Slice(sequence * half, count).ToArray(), dims);
    }

    private static void Near(TensorData expected, TensorData found, string what)
    {
        CollectionAssert.AreEqual(expected.Dimensions.ToArray(), found.Dimensions.ToArray(), what);
        foreach ((double e, double f) in expected.ToDoubles().Zip(found.ToDoubles())) Assert.AreEqual(e, f, 1e-5 * (1 + Math.Abs(e)), what);
    }
}
