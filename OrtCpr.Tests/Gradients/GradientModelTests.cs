using Microsoft.ML.OnnxRuntime;
using OrtCpr.Graph;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Gradients;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Tests.Gradients;

/// <summary>Gradients as plain models, and gradients of those.</summary>
[TestClass]
public sealed class GradientModelTests
{
    /// <summary>u(x) of a small network with tanh, x [batch, 2] in double; energy = Σ u².</summary>
    private static byte[] Network()
    {
        OnnxModel model = OnnxModel.Create("network", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Double, new Shape(SymbolicInt.Symbol("batch"), 2));
        Value hidden =
            g.Tanh(g.Op(
                "Gemm", [x, TestModels.Weight(graph, "first", ElementType.Double, 2, 7),
                    TestModels.Weight(graph, "bias", ElementType.Double, 7)]));
        Value u = g.Named(g.MatMul(hidden, TestModels.Weight(graph, "second", ElementType.Double, 7, 1)), "u");
        Value energy = g.Named(g.ReduceSum(g.Mul(u, u), false), "energy");
        graph.Outputs.Add(u);
        graph.Outputs.Add(energy);
        return GraphWriter.ToBytes(model);
    }

    private static readonly Dictionary<string, TensorData> Input = new()
    {
        ["x"] = TensorData.From<double>([0.3, -0.4, 1.1, 0.2, -0.7, 0.9], 3, 2),
    };

    private static double[] Evaluate(byte[] model, Dictionary<string, TensorData> feeds, string output)
    {
        using InferenceSession session = RuleCheck.Open(model);
        return RuleCheck.Evaluate(session, feeds, [output])[output].ToDoubles();
    }

    private static Dictionary<string, TensorData> Moved(double[] direction, double t) => new()
    {
        ["x"] = TensorData.From<double>([.. Input["x"].ToDoubles().Zip(direction, (x, d) => x + (t * d))], 3, 2),
    };

    [TestMethod]
    public void ScalarOutput_NeedsNoCotangent()
    {
        byte[] gradient = GradientModel.Build(Network(), "energy", ["x", "first"]).ToBytes();
        double[] dx = Evaluate(gradient, Input, "x_grad");
        for (int i = 0; i < dx.Length; i++)
        {
            double[] unit = [.. Enumerable.Range(0, 6).Select(k => k == i ? 1.0 : 0)];
            Assert.AreEqual((Evaluate(Network(), Moved(unit, 1e-5), "energy")[0] - Evaluate(Network(), Moved(unit, -1e-5), "energy")[0])
                / 2e-5, dx[i], 1e-7);
        }
        OptionException error = Assert.ThrowsExactly<OptionException>(() => GradientModel.Build(Network(), "u", ["x"]));
        StringAssert.Contains(error.Message, "u_cotangent");
    }

    /// <summary>H·v by differentiating the gradient model: the Jacobian of a gradient is symmetric.</summary>
    [TestMethod]
    public void HessianVectorProduct_EqualsDifferencesOfGradients()
    {
        byte[] gradient = GradientModel.Build(Network(), "energy", ["x"]).ToBytes();
        GradientModel second = GradientModel.Build(gradient, ["x_grad"], ["x"]);
        double[] v = [0.5, -1, 0.25, 2, -0.5, 1];
        Dictionary<string, TensorData> feeds = new(Input) { [GradientModel.CotangentOf("x_grad")] = TensorData.From<double>(v, 3, 2) };
        double[] product = Evaluate(second.ToBytes(), feeds, second.Gradients["x"]);
        double[] up = Evaluate(gradient, Moved(v, 1e-5), "x_grad"), down = Evaluate(gradient, Moved(v, -1e-5), "x_grad");
        for (int i = 0; i < v.Length; i++) Assert.AreEqual((up[i] - down[i]) / 2e-5, product[i], 1e-7 * (1 + Math.Abs(product[i])));
    }

    /// <summary>The gradients of a convolution are operators of ours, and have gradients themselves: second derivatives
    /// with respect to x and w.</summary>
    [TestMethod]
    [DataRow("x")]
    [DataRow("w")]
    public void ConvolutionsGradients_AreDifferentiatedAgain(string name)
    {
        OnnxModel model = OnnxModel.Create("convolution", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("batch"), 2, 7, 6));
        Value w = graph.AddInput("w", ElementType.Float, Shape.Of(3, 2, 3, 2));
        Value y = g.Tanh(
            g.Op("Conv", [x, w], ("strides", new long[] { 2, 1 }), ("dilations", new long[] { 1, 2 }),
                ("pads", new long[] { 1, 0, 2, 1 })));
        graph.Outputs.Add(g.Named(g.ReduceSum(g.Mul(y, y), false), "energy"));
        var random = new Random(5);
        TensorData Draw(params long[] dims) =>
            TensorData.From<float>([.. Enumerable.Range(0, (int)dims.Aggregate((a, b) => a * b)).Select(_ => random.NextSingle() - 0.5f)],
                dims);
        Dictionary<string, TensorData> at = new() { ["x"] = Draw(2, 2, 7, 6), ["w"] = Draw(3, 2, 3, 2) };
        TensorData direction = Draw([.. at[name].Dimensions]);
        byte[] gradient = GradientModel.Build(GraphWriter.ToBytes(model), "energy", [name]).ToBytes();
        Assert.IsTrue(GraphReader.Read(ModelFile.Load(gradient)).Graph.Nodes.Any(n => n.Domain == OperatorDefinition.Domain));
        GradientModel second = GradientModel.Build(gradient, [$"{name}_grad"], ["x", "w"]);
        foreach (string wrt in new[] { "x", "w" })
        {
            double[] product =
                Evaluate(second.ToBytes(), new(at) { [GradientModel.CotangentOf($"{name}_grad")] = direction }, second.Gradients[wrt]);
            // Along a random direction v: v·(H u) against (v-moved gradient)·u.
            TensorData v = Draw([.. at[wrt].Dimensions]);
            double Along(float t) =>
                Evaluate(gradient, new(at)
                {
                    [wrt] = TensorData.From<float>([.. at[wrt].ToArray<float>().Zip(v.ToArray<float>(), (a, b) => a + (t * b))],
                        [.. v.Dimensions])
                }, $"{name}_grad")
                .Zip(direction.ToDoubles(), (a, b) => a * b).Sum();
            double expected = (Along(1f / 64) - Along(-1f / 64)) * 32, found = product.Zip(v.ToDoubles(), (a, b) => a * b).Sum();
            // Float32 gradients, and a third derivative times the square of the width.
            Assert.AreEqual(expected, found, 2e-3 * (1 + Math.Abs(expected)), wrt);
        }
    }

    /// <summary>A physics-informed loss holds derivatives of the network: the model with u_x as an output is trained
    /// like any other.</summary>
    [TestMethod]
    public void ModelWithDerivatives_IsTrained()
    {
        byte[] derivatives = GradientModel.Build(Network(), ["u"], ["x"]).ToBytes();
        TrainingPlan graphs = TrainingGraphBuilder.Build(derivatives, new TrainingOptions
        {
            Loss = new OrtCpr.Graph.Losses.MseLoss { Output = "x_grad" },
            Optimizer = new OptimizerOptions { Groups = [UpdateRule.Adam(0.02)] },
        });
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        double first = double.NaN, loss = 0;
        for (int step = 0; step < 60; step++)
        {
            using Batch batch = new Batch().Add("x", Input["x"]).Add("u_cotangent", TensorData.From<double>([1, 1, 1], 3, 1)).Add(
                "target", TensorData.From<double>([1, 0, 1, 0, 1, 0], 3, 2));
            loss = driver.TrainStep(batch);
            if (step == 0) first = loss;
            driver.OptimizerStep();
            driver.LazyResetGrad();
        }
        Assert.IsLessThan(0.2 * first, loss);
    }

    /// <summary>Rules that emit operators without a rule of their own: their gradients cannot be differentiated again.
    /// To shrink, never to grow.</summary>
    private static readonly string[] Once = [];

    [TestMethod]
    public void GradientsOfRules_CanBeDifferentiatedAgain()
    {
        HashSet<string> known = [.. GradientRules.Default.Operators, .. Decompositions.Operators];
        var found = new SortedSet<string>(StringComparer.Ordinal);
        foreach (RuleCase row in RuleCases.All)
        {
            (byte[] bytes, string[] outputs) = RuleCheck.Write(row, false, ElementType.Float);
            string[] wrt = [.. RuleCheck.Named(row.Inputs).Where(i => i.Value is { Differentiated: true } && i.Value.Type.IsFloating())
                .Select(i => i.Key)];
            OnnxModel model;
            try
            {
                model = GraphReader.Read(
                    ModelFile.Load(GradientModel.Build(bytes, row.Of is null ? outputs[..1] : [.. row.Of.Select(i => outputs[i])], wrt)
                        .ToBytes()));
            }
            catch (OrtCprException)
            {
                continue;
            }
            foreach (Node node in Nodes(model.Graph).Where(n => !known.Contains(n.QualifiedType) && OperatorTable.GradientOf(n) is null))
                found.Add($"{row.Op} → {node.QualifiedType}");
        }
        CollectionAssert.AreEqual(Once, found.ToArray(), string.Join(", ", found));
    }

    private static IEnumerable<Node> Nodes(OnnxGraph graph) => graph.Nodes.SelectMany(n => n.Subgraphs.SelectMany(Nodes).Prepend(n));
}
