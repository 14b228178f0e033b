using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.OrtTraining;

namespace OrtCpr.Tests.OrtTraining;

[TestClass]
public sealed class LoweringTests
{
    // What the package's CPU build could not run at all: our own gradients of the plain model are the reference.
    [TestMethod]
    public void ConvTransposeAndResize_GiveTheGradientsOfThePlainModel()
    {
        string folder = Path.Combine(AppContext.BaseDirectory, "Data", "ort-artifacts", "structure_only_convtranspose_resize");
        using TrainingDriver lowered = TrainingDriver.FromArtifacts(folder),
            plain = TrainingDriver.Create(Path.Combine(folder, "forward_model.onnx"), new TrainingOptions { Loss = new MseLoss() });
        var random = new Random(3);
        float[] x = [.. Enumerable.Range(0, 2 * 3 * 5 * 6).Select(_ => (float)random.NextDouble())],
            y = [.. Enumerable.Range(0, 2 * 20 * 24).Select(_ => (float)random.NextDouble())];
        string label = plain.Plan.BatchInputs.Single(i => i.IsLabel).Name;
        using Batch one = new Batch().Add("x", x, 2, 3, 5, 6).Add("target", y, 2, 1, 20, 24),
            two = new Batch().Add("x", x, 2, 3, 5, 6).Add(label, y, 2, 1, 20, 24);
        Assert.AreEqual(plain.TrainStep(two), lowered.TrainStep(one), 1e-6);
        foreach (string name in new[] { "ct_W", "ct_b", "c_W" })
        {
            double[] expected = plain.GetGradient(name).ToDoubles(), found = lowered.GetGradient(name).ToDoubles();
            for (int i = 0; i < expected.Length; i++) Assert.AreEqual(expected[i], found[i], 1e-6, name);
        }
    }

    [TestMethod]
    public void OperatorsWithoutCounterpart_AreListedAllAtOnce()
    {
        OnnxModel model = OnnxModel.Create("m", 18);
        model.Opsets["com.microsoft"] = 1;
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(2));
        var g = new GraphBuilder(model.Graph);
        Value a = g.Op("com.microsoft.YieldOp", [x]), b = g.Op("com.microsoft.NobodysGrad", [a]);
        model.Graph.Outputs.Add(g.Op("com.microsoft.ReluGrad", [b, x]));
        LoweringException error = Assert.ThrowsExactly<LoweringException>(() => LowerTraining.Run(model));
        StringAssert.Contains(error.Message, "YieldOp");
        StringAssert.Contains(error.Message, "NobodysGrad");
        Assert.IsFalse(error.Message.Contains("ReluGrad", StringComparison.Ordinal));
    }

    // The formulas of the operator's documentation, in double.
    [TestMethod]
    [DataRow(0, 1, null)]
    [DataRow(0, 0, null)]
    [DataRow(1, 1, null)]
    [DataRow(1, 0, null)]
    [DataRow(1, 1, true)]
    [DataRow(0, 1, false)]
    public void AdamW_InAllItsForms(int mode, int correct, bool? signal)
    {
        const double rate = 0.01, beta1 = 0.9, beta2 = 0.99, epsilon = 1e-3, decay = 0.1;
        OnnxModel source = OnnxModel.Create("o", 15);
        source.Opsets["com.microsoft"] = 1;
        Value lr = source.Graph.AddInput("learning_rate", ElementType.Float, Shape.Of(1)),
            step = source.Graph.AddInput("step", ElementType.Int64, Shape.Of(1));
        Value[] sequences = [.. new[] { "params", "gradients", "first_order_moments", "second_order_moments" }.Select(n =>
            source.Graph.AddInput(n, ElementType.Undefined, null))];
        var g = new GraphBuilder(source.Graph);
        Value?[] inputs = [lr, step, .. sequences, signal is bool s ? g.Constant(TensorData.From<bool>([s], 1)) : null];
        source.Graph.Outputs.Add(g.Op("com.microsoft.AdamWOptimizer", inputs, ("alpha", (float)beta1), ("beta", (float)beta2),
            ("epsilon", (float)epsilon), ("weight_decay", (float)decay), ("adam_mode", mode), ("correct_bias", correct)));
        string[] names = ["w", "w_grad", "w.momentum0", "w.momentum1"];
        var tensors = sequences.Zip(names)
            .ToDictionary(p => p.First.Name, p => (IReadOnlyList<SequenceTensor>)[new SequenceTensor(p.Second, ElementType.Float, [2])],
            StringComparer.Ordinal);
        OnnxModel lowered = LowerOptimizer.Run(source, tensors).Model;
        using var session = new InferenceSession(GraphWriter.ToBytes(lowered));

        double[] w = [1, -2], gradient = [0.5, -0.25], m = [0, 0], v = [0, 0];
        for (int t = 1; t <= 3; t++)
        {
            double c1 = correct == 1 ? 1 - Math.Pow(beta1, t) : 1, c2 = correct == 1 ? 1 - Math.Pow(beta2, t) : 1;
            using var run = new RunOptions();
            var feeds = new Dictionary<string, OrtValue>
            {
                ["learning_rate"] = Floats([rate]),
                ["optimizer.step"] = OrtValue.CreateTensorValueFromMemory(new[] { t - 1L }, [1]),
                ["w"] = Floats(w),
                ["w_grad"] = Floats(gradient),
                ["w.momentum0"] = Floats(m),
                ["w.momentum1"] = Floats(v)
            };
            string[] outputs = ["w.updated", "w.momentum0.updated", "w.momentum1.updated", "optimizer.step.updated", "step_applied"];
            using IDisposableReadOnlyCollection<OrtValue> results = session.Run(run, feeds, outputs);
            for (int i = 0; i < 2 && signal != false; i++)
            {
                m[i] = (beta1 * m[i]) + ((1 - beta1) * gradient[i]);
                v[i] = (beta2 * v[i]) + ((1 - beta2) * gradient[i] * gradient[i]);
                if (mode == 0) w[i] -= rate * decay * w[i];
                w[i] -= mode == 0 ? rate * m[i] / (c1 * (Math.Sqrt(v[i] / c2) + epsilon))
                    : rate * Math.Sqrt(c2) / c1 * m[i] / (Math.Sqrt(v[i]) + epsilon);
                if (mode == 1) w[i] -= rate * decay * w[i];
            }
            Close(w, results[0]);
            Close(m, results[1]);
            Close(v, results[2]);
            Assert.AreEqual(signal == false ? t - 1 : t, results[3].GetTensorDataAsSpan<long>()[0]);
            Assert.AreEqual(signal != false, results[4].GetTensorDataAsSpan<bool>()[0]);
        }
    }

    [TestMethod]
    public void EveryTrainingOperatorOfTheReference_IsInATableOrRefused() =>
        CollectionAssert.IsSubsetOf(new[] { "AveragePoolGrad", "MaxPoolGrad", "com.microsoft.BatchNormInternal",
            "com.microsoft.ConvTransposeGrad", "com.microsoft.FakeQuantGrad", "com.microsoft.GRUGrad", "com.microsoft.LSTMTraining",
            "com.microsoft.ResizeGrad", "com.microsoft.SliceGrad", "com.microsoft.SoftmaxCrossEntropyLossInternalGrad" },
            LowerTraining.Operators.ToArray());

    private static OrtValue Floats(double[] values) =>
        OrtValue.CreateTensorValueFromMemory(values.Select(d => (float)d).ToArray(), [values.Length]);

    private static void Close(double[] expected, OrtValue found)
    {
        for (int i = 0; i < expected.Length; i++)
        {
            Assert.AreEqual(expected[i], found.GetTensorDataAsSpan<float>()[i], 2e-6 * Math.Max(1, Math.Abs(expected[i])));
        }
    }
}
