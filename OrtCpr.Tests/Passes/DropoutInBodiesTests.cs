using System.Collections.Immutable;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Losses;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Passes;

/// <summary>Dropout in the bodies of Loop, Scan and If: a mask an iteration, the same on the way back, none in
/// evaluation.</summary>
[TestClass]
public sealed class DropoutInBodiesTests
{
    private const int Rows = 20, Columns = 12, Iterations = 4;

    private const double Ratio = 0.3;

    /// <summary>y: what dropout leaves of x · weight, stacked over the iterations. x is read in each of them from
    /// outside, and the branch taken is the one that drops.</summary>
    private static byte[] Model(string op, bool flag)
    {
        OnnxModel model = OnnxModel.Create("dropout", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(Rows, Columns));
        Value weight = TestModels.Constant(graph, "weight", 1, Columns);
        Value?[] settings = [g.Scalar(Ratio, ElementType.Float), flag ? g.Scalar(1, ElementType.Bool) : null];
        Value Dropped(GraphBuilder b) => b.Op("Dropout", [b.Mul(x, weight), .. settings]);
        Value[] Repeated(GraphBuilder b, int count, Func<GraphBuilder, Value> write) =>
            RuleCases.Loop(b, b.Int(count), b.Scalar(1, ElementType.Bool), [], (c, i, s) => (null, [], [write(c)]));
        Value y = op switch
        {
            "Loop" => Repeated(g, Iterations, Dropped)[0],
            // Slices along a later axis, from the end, and a state.
            "Scan" => RuleCases.Scan(g, [g.Scalar(0, ElementType.Float)], [g.Filled(1, Like(2, Iterations))], (b, s, e) =>
                ([b.Add(s[0], b.ReduceSum(e[0], false))], [Dropped(b)]),
                ("scan_input_axes", new long[] { 1 }), ("scan_input_directions", new long[] { 1 }))[1],
            "If" => g.Unsqueeze(
                g.Op("If", [graph.AddInput("go", ElementType.Bool, Shape.Scalar)],
                    ("then_branch", RuleCases.Body(g, "then", [], b => [Dropped(b)])),
                    ("else_branch", RuleCases.Body(g, "else", [], b => [b.Neg(b.Mul(x, weight))]))), 0),
            _ => g.Reshape(Repeated(g, 2, b => Repeated(b, 2, Dropped)[0])[0], Iterations, Rows, Columns),
        };
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(y, "y"), ElementType.Float, null));
        return GraphWriter.ToBytes(model);

        Value Like(params long[] dims) => g.FilledOf(0, g.Ints(dims), ElementType.Float);
    }

    private static TrainingDriver Driver(string op, DropoutMode mode = DropoutMode.Training, bool flag = false, long seed = 1) => new(
        TrainingGraphBuilder.Build(Model(op, flag), new TrainingOptions
        { Loss = new OutputLoss(Reduction.Sum), TrainingOutputs = ["y"], Dropout = mode, Seed = seed }), new DriverOptions
        { Threads = 1 });

    private static Batch Ones(TrainingDriver driver)
    {
        Batch batch = new Batch().Add("x", Enumerable.Repeat(1f, Rows * Columns).ToArray(), Rows, Columns);
        return driver.Plan.BatchInputs.Any(i => i.Name == "go") ? batch.Add("go", new[] { true }) : batch;
    }

    /// <summary>Elements of the iterations.</summary>
    private static float[][] Step(TrainingDriver driver)
    {
        using Batch batch = Ones(driver);
        driver.TrainStep(batch);
        return [.. driver.GetOutput("y").ToArray<float>().Chunk(Rows * Columns)];
    }

    [TestMethod]
    [DataRow("Loop")]
    [DataRow("Scan")]
    [DataRow("If")]
    [DataRow("nested")]
    public void EveryIteration_HasAMaskOfItsOwn_AndGradientsSeeTheSame(string op)
    {
        using TrainingDriver driver = Driver(op), same = Driver(op), other = Driver(op, seed: 2);
        float[][] first = Step(driver);
        Assert.HasCount(op == "If" ? 1 : Iterations, first);
        Assert.IsTrue(first.SelectMany(v => v).All(v => v == 0 || Math.Abs(v - (1 / (1 - Ratio))) < 1e-6));
        Assert.AreEqual(Ratio, first.SelectMany(v => v).Average(v => v == 0 ? 1.0 : 0), 4
            * Math.Sqrt(Ratio * (1 - Ratio) / (first.Length * Rows * Columns)), "share");
        string[] masks = [.. first.Select(Mask)];
        Assert.AreEqual(first.Length, masks.Distinct().Count(), "a mask an iteration");
        float[] gradient = driver.GetGradient("weight").ToArray<float>();
        for (int c = 0; c < Columns; c++)
            Assert.AreEqual(first.Sum(y => Enumerable.Range(0, Rows).Sum(r => y[(r * Columns) + c])), gradient[c], 1e-3, $"column {c}");
        CollectionAssert.AreEqual(masks, Step(same).Select(Mask).ToArray(), "by seed and step alone");
        driver.OptimizerStep();
        driver.LazyResetGrad();
        Assert.AreEqual(2 * first.Length, masks.Concat(Step(driver).Select(Mask)).Distinct().Count(), "the next step");
        Assert.AreEqual(2 * first.Length, masks.Concat(Step(other).Select(Mask)).Distinct().Count(), "another seed");
    }

    private static string Mask(float[] values) => string.Concat(values.Select(v => v != 0 ? '1' : '0'));

    [TestMethod]
    [DataRow("Loop")]
    [DataRow("Scan")]
    [DataRow("If")]
    [DataRow("nested")]
    public void Modes_DecideInBodiesToo_AndEvaluationNeverDrops(string op)
    {
        foreach ((DropoutMode mode, bool flag, bool drops) in new[]
            { (DropoutMode.AsExported, false, false), (DropoutMode.AsExported, true, true), (DropoutMode.Training, false, true),
                (DropoutMode.Inference, true, false) })
        {
            using TrainingDriver driver = Driver(op, mode, flag);
            Assert.AreEqual(drops, Step(driver).Any(y => y.Contains(0f)), $"{mode}, exported {flag}");
            using Batch batch = Ones(driver);
            using Evaluation evaluation = driver.EvalStep(batch);
            Assert.AreEqual((op == "If" ? 1 : Iterations) * Rows * Columns, evaluation.Loss, 1e-3, "evaluation");
            Assert.AreEqual(drops, driver.Plan.DropoutSeed is not null);
        }
    }

    /// <summary>Σ of a state that goes through tanh(dropout(state)·weight) as often as <c>count</c> says, which the
    /// graph reads when it runs.</summary>
    private static byte[] Recurrence(bool scan)
    {
        OnnxModel model = OnnxModel.Create("recurrence", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 3)), weight = TestModels.Weight(graph, "weight", 3, 3);
        Value Next(GraphBuilder b, Value state) => b.Tanh(b.MatMul(b.Op("Dropout", [state, g.Scalar(Ratio, ElementType.Float)]), weight));
        Value y = scan
            ? RuleCases.Scan(g, [x], [graph.AddInput("slices", ElementType.Float, new Shape(SymbolicInt.Symbol("steps"), 3))], (b, s, e) =>
                ([b.Add(Next(b, s[0]), e[0])], []))[0]
            : RuleCases.Loop(g, graph.AddInput("count", ElementType.Int64, Shape.Scalar), null, [x], (b, i, s) =>
                (null, [Next(b, s[0])], []))[0];
        graph.Outputs.Add(GraphBuilder.Typed(g.Named(y, "y"), ElementType.Float, Shape.Of(2, 3)));
        return GraphWriter.ToBytes(model);
    }

    /// <summary>A driver each time: the first step of a seed draws the same masks whatever the weights.</summary>
    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void GradientsThroughDroppedStates_EqualDifferences(bool scan)
    {
        float[] direction = [0.7f, -0.2f, 0.9f, -0.5f, 0.3f, 0.8f, -0.6f, 0.4f, 0.1f];
        double[] weight = [];
        (double Loss, double Slope) At(double t)
        {
            var moved = new Dictionary<string, TensorData>();
            if (weight.Length > 0)
            {
                moved["weight"] = TensorData.From<double>([.. weight.Zip(direction, (w, d) => w + (t * d))], 3, 3)
                    .ConvertTo(ElementType.Float);
            }
            TrainingPlan graphs =
                TrainingGraphBuilder.Build(Recurrence(scan), new TrainingOptions
                {
                    Loss = new OutputLoss(Reduction.Sum),
                    Dropout = DropoutMode.Training,
                    InitialParameters = moved.ToImmutableDictionary()
                });
            if (weight.Length == 0) weight = graphs.InitialParameters["weight"].ToDoubles();
            using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
            using Batch batch = new Batch().Add("x", [0.5f, -1, 1.5f, 1, 2, -0.5f], 2, 3);
            if (scan) batch.Add("slices", Enumerable.Range(1, 12).Select(i => i / 9f).ToArray(), 4, 3);
            else batch.Add("count", [4L]);
            double loss = driver.TrainStep(batch);
            return (loss, driver.GetGradient("weight").ToDoubles().Zip(direction, (g, d) => g * d).Sum());
        }

        double slope = At(0).Slope;
        const double step = 1.0 / 128;
        double differences = ((8 * (At(step).Loss - At(-step).Loss)) - (At(2 * step).Loss - At(-2 * step).Loss)) / (12 * step);
        Assert.AreEqual(slope, differences, 1e-3 * (1 + Math.Abs(slope)));
        Assert.AreNotEqual(0, slope, 0.01);
    }
}
