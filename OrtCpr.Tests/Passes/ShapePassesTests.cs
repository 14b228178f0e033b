using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.Passes;

namespace OrtCpr.Tests.Passes;

[TestClass]
public sealed class ShapePassesTests
{
    private static OnnxModel Load(string name) =>
        RegulariseModel.Run(ModelFile.Load(TestModels.Case($"models/{name}.onnx")), new Dictionary<string, TensorData>());

    /// <summary>A fifth of an exported GPT2's values lose their symbols in ONNX Runtime's inference.</summary>
    [TestMethod]
    [DataRow("gpt2_legacy")]
    [DataRow("gpt2_dynamo")]
    [DataRow("grokking_legacy")]
    public void EveryFloatingValue_HasAShapeInTheInputsSymbols(string name)
    {
        OnnxModel model = Load(name);
        InferShapes.Run(model);
        var symbols = model.Graph.Inputs.SelectMany(i => i.Shape!).Where(d => d.Known is null).Select(d => d.ToString()).ToHashSet();
        foreach (Value value in model.Graph.Nodes.SelectMany(n => n.Outputs).OfType<Value>().Where(v => v.Type.IsFloating()))
        {
            Assert.IsNotNull(value.Shape, value.Name);
            foreach (Dim dim in value.Shape)
            {
                Assert.IsTrue(dim.Known is not null
                    || symbols.Any(s => dim.ToString().Contains(s, StringComparison.Ordinal)), $"{value}: {dim}");
            }
        }
    }

    [TestMethod]
    [DataRow("gpt2_legacy")]
    [DataRow("grokking_legacy")]
    [DataRow("lenet")]
    public void NoBroadcastReduction_IsDecidedAtRunTime(string name)
    {
        TrainingPlan graphs = TrainingGraphBuilder.Build(TestModels.Case($"models/{name}.onnx"));
        Assert.IsFalse(graphs.Training.Graph.Nodes.Any(n => n.Is("NonZero")), "SumTo falls back to NonZero");
    }

    /// <summary>BERT's position ids: a constant row cut to the sequence's length, gathered and added to the token
    /// rows.</summary>
    [TestMethod]
    public void ConstantCutToASymbolicLength_KeepsTheSymbol()
    {
        OnnxModel model = OnnxModel.Create("positions", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value tokens =
            graph.AddInput("tokens", ElementType.Int64, new Shape((Dim)SymbolicInt.Symbol("batch"), (Dim)SymbolicInt.Symbol("sequence")));
        Value rows = g.Op("Gather", [TestModels.Weight(graph, "words", 10, 4), tokens]);
        Value ids = graph.AddInitializer("ids", TensorData.From<long>([0, 1, 2, 3, 4, 5], 1, 6));
        Value cut = g.Op("Slice", [ids, g.Ints(0), g.Op("Shape", [tokens], ("start", 1)), g.Ints(1)]);
        Value placed = g.Op("Add", [rows, g.Op("Gather", [TestModels.Weight(graph, "positions", 6, 4), cut])]);
        graph.Outputs.Add(g.Named(placed, "out"));
        TrainingPlan graphs =
            TrainingGraphBuilder.Build(GraphWriter.ToBytes(model), new TrainingOptions { Loss = new OrtCpr.Graph.Losses.MseLoss() });
        Assert.IsFalse(graphs.Training.Graph.Nodes.Any(n => n.Is("NonZero")));
        using var driver = new TrainingDriver(graphs, new DriverOptions { Threads = 1 });
        foreach (int length in new[] { 1, 3, 6 })
        {
            using Batch batch = new Batch().Add("tokens", new long[2 * length], 2, length)
                .Add("target", new float[2 * length * 4], 2, length, 4);
            driver.LazyResetGrad();
            driver.TrainStep(batch);
            float[] gradient = driver.GetGradient("positions").ToArray<float>();
            Assert.AreEqual(length, Enumerable.Range(0, 6)
                .Count(r => gradient.AsSpan(r * 4, 4).ToArray().Any(v => v != 0)), "rows that were read");
        }
    }

    [TestMethod]
    public void SlicesThatCutAnAxis_BecomeOneSplit()
    {
        OnnxModel model = Load("grokking_legacy");
        ShapeInference known = InferShapes.Run(model);
        FoldConstants.Run(model, known);
        int slices = model.Graph.Nodes.Count(n => n.Is("Slice"));
        SlicesToSplit.Run(model, known);
        model.Graph.Sort();
        GraphChecker.Check(model, "test");
        Assert.AreEqual(slices - 3, model.Graph.Nodes.Count(n => n.Is("Slice")));
        Assert.AreEqual(1, model.Graph.Nodes.Count(n => n.Is("Split")));
    }

    /// <summary>Only the last position reaches the logits, so everything behind the attention's keys and values works
    /// on one row a sample.</summary>
    [TestMethod]
    [DataRow("grokking_legacy")]
    [DataRow("grokking_dynamo")]
    public void SelectionOfThePosition_MovesInFrontOfTheRowwiseOperators(string name)
    {
        OnnxModel model = Load(name);
        PrepareGraph.Run(model, InferShapes.Run(model));
        Assert.IsFalse(model.Graph.Nodes.Any(n => n.Is("Relu") && n.Outputs[0]!.Shape is { Rank: 3 } s && s[1].Known != 1),
            "the MLP sees one position");
        Assert.IsTrue(model.Graph.Nodes.Where(n => n.Is("Softmax"))
            .All(n => n.Outputs[0]!.Shape![2].Known == 1), "the attention has one query");
    }

    [TestMethod]
    public void TransposesOfProducts_BecomeFlags_AndKeepInnerRowsWhole()
    {
        OnnxModel model = Load("grokking_legacy");
        PrepareGraph.Run(model, InferShapes.Run(model));
        Node[] products = [.. model.Graph.Nodes.Where(n => n.OpType is "MatMul" or "Gemm" or "FusedMatMul")];
        foreach (Node transpose in products.SelectMany(p => p.Inputs).Select(i => i!.Producer).OfType<Node>().Where(n => n.Is("Transpose")))
            Assert.AreEqual(transpose.Inputs[0]!.Shape!.Rank - 1, transpose.Ints("perm")![^1], transpose.ToString());
        Assert.IsTrue(products.Any(p => p.OpType == "FusedMatMul" && p.Int("transB", 0) == 1), "queries times transposed keys");
    }

    [TestMethod]
    public void InPlaceRule_FindsAReaderThatMayRunLate()
    {
        OnnxModel model = OnnxModel.Create("late", 18);
        var g = new GraphBuilder(model.Graph);
        Value state = model.Graph.AddInput("state", ElementType.Float, Shape.Of(3));
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(3));
        Value updated = g.Named(g.Add(state, x), "updated");
        Value late = g.Named(g.Neg(g.Reshape(state, 3)), "late");
        model.Graph.Outputs.Add(updated);
        model.Graph.Outputs.Add(late);
        InvalidOperationException error =
            Assert.ThrowsExactly<InvalidOperationException>(() => InPlaceRule.Check(model, [("state", "updated")]));
        StringAssert.Contains(error.Message, "Neg");
    }

    [TestMethod]
    public void FunctionsAreInlined_WithTheirAttributes()
    {
        OnnxModel model = OnnxModel.Create("functions", 18);
        var body = new OnnxGraph("Twice", new NameAuthority());
        Value a = body.AddInput("a", ElementType.Float, null);
        var leaky = new Node("", "LeakyRelu", "");
        leaky.Inputs.Add(a);
        var b = new Value("b") { Producer = leaky };
        leaky.Outputs.Add(b);
        leaky.Set("alpha", new AttributeReference("slope", 1));
        body.Nodes.Add(leaky);
        body.Outputs.Add(b);
        var function = new OnnxFunction("my.own", "Leak", body);
        function.Attributes.Add("slope");
        model.Functions.Add(function);
        model.Opsets["my.own"] = 1;
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, Shape.Of(3));
        Value y = g.Op("my.own.Leak", [g.Op("my.own.Leak", [x], ("slope", 0.5f))], ("slope", 0.25f));
        model.Graph.Outputs.Add(g.Named(y, "y"));
        InlineFunctions.Run(model);
        GraphChecker.Check(model, "test");
        CollectionAssert.AreEqual(new[] { 0.5f, 0.25f }, model.Graph.Nodes.Where(n => n.Is("LeakyRelu")).Select(n => n.Float("alpha", 0))
            .ToArray());
        Assert.AreEqual("y", model.Graph.Outputs[0].Name);
    }
}
