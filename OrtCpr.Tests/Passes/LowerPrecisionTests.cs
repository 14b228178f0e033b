using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;
using OrtCpr.Graph.Passes;
using OrtCpr.Tests.Gradients;

namespace OrtCpr.Tests.Passes;

/// <summary>What the policy makes of small graphs: the nodes in order, each with the type of its first result.</summary>
[TestClass]
public sealed class LowerPrecisionTests
{
    private const ElementType Low = ElementType.BFloat16;

    private static OnnxModel Model(Func<GraphBuilder, Func<string, long[], Term>, Value> write)
    {
        OnnxModel model = OnnxModel.Create("policy", 18);
        var g = new GraphBuilder(model.Graph);
        Value result = write(g, (name, dims) => g.Term(model.Graph.AddInput(name, ElementType.Float, Shape.Of(dims))));
        model.Graph.Outputs.Add(g.Named(result, "result"));
        OperatorTable.Attach(model);
        return model;
    }

    private static OnnxModel Lowered(Func<GraphBuilder, Func<string, long[], Term>, Value> write, ElementType low = Low) =>
        LowerPrecision.Run(Model(write), low);

    private static string Text(OnnxModel model) =>
        string.Join(' ', model.Graph.Nodes.Select(n => $"{n.OpType}:{Short(n.Outputs[0]!.Type)}"));

    private static string Short(ElementType type) =>
        type == ElementType.Float ? "f" : type == Low ? "b" : type == ElementType.Float16 ? "h" : type.ToString();

    [TestMethod]
    [DataRow("MatMul")]
    [DataRow("Gemm")]
    public void AProduct_IsLow_AndItsResultLeavesInFloat32(string op)
    {
        OnnxModel lowered = Lowered((g, input) => g.Op(op, [input("a", [4, 4]), input("b", [4, 4])]));
        Assert.AreEqual($"Cast:b Cast:b {op}:b Cast:f", Text(lowered));
        Assert.AreEqual("result", lowered.Graph.Outputs.Single().Name);
        Assert.AreEqual(ElementType.Float, lowered.Graph.Outputs.Single().Type);
    }

    [TestMethod]
    [DataRow("Softmax")]
    [DataRow("Exp")]
    [DataRow("Reciprocal")]
    [DataRow("ReduceSum")]
    [DataRow("ortcpr.Softmax")]
    // An operator that the table does not know.
    [DataRow("Hardmax")]
    public void WhatNeedsFloat32_ReadsTheProductWidened(string op) => Assert.AreEqual(
        $"Cast:b Cast:b MatMul:b Cast:f {op.Split('.')[^1]}:f",
        Text(Lowered((g, input) => GraphBuilder.Typed(g.Op(op, [g.MatMul(input("a", [4, 4]), input("b", [4, 4]))]), ElementType.Float,
            null))));

    [TestMethod]
    [DataRow("Relu")]
    [DataRow("Transpose")]
    [DataRow("Tanh")]
    public void WhatFollows_StaysLowBehindAProduct_AndFloat32Elsewhere(string op)
    {
        Assert.AreEqual($"Cast:b Cast:b MatMul:b {op}:b Cast:f",
            Text(Lowered((g, input) => g.Op(op, [g.MatMul(input("a", [4, 4]), input("b", [4, 4]))]))));
        Assert.AreEqual($"{op}:f", Text(Lowered((g, input) => g.Op(op, [input("a", [4, 4])]))));
    }

    [TestMethod]
    public void OursOfSeveralSteps_TakesAndGivesLow_AndComputesInFloat32() => Assert.AreEqual(
        "Cast:b Cast:b MatMul:b Cast:f GeluTanh:f Cast:b MatMul:b Cast:f",
        Text(Lowered((g, input) =>
        {
            Term b = input("b", [4, 4]);
            return g.MatMul(Gelu.Tanh.Call(g, [g.MatMul(input("a", [4, 4]), b)])[0], b);
        })));

    [TestMethod]
    public void TheWidestWins()
    {
        Assert.AreEqual("Cast:b Cast:b MatMul:b Cast:f Add:f",
            Text(Lowered((g, input) => g.MatMul(input("a", [4, 4]), input("b", [4, 4])) + input("c", [4, 4]))));
        Assert.AreEqual("Cast:b Cast:b MatMul:b Cast:b Add:b Cast:f",
            Text(Lowered((g, input) => g.MatMul(input("a", [4, 4]), input("b", [4, 4])) + input("bias", [4]))), "a bias");
        Assert.AreEqual("Cast:b Cast:b MatMul:b Cast:f Mul:f",
            Text(Lowered((g, input) => g.MatMul(input("a", [4, 4]), input("b", [4, 4])) * input("gain", [4]))), "no bias");
    }

    [TestMethod]
    [DataRow(0.5, "Mul:b Cast:f")]
    // The largest bfloat16 number is 3.39e38.
    [DataRow(-3.4e38, "Cast:f Mul:f")]
    [DataRow(1e-12, "Mul:b Cast:f")]
    [DataRow(double.NegativeInfinity, "Mul:b Cast:f")]
    public void ANumberOfTheProgram_DoesNotWiden_UnlessTheTypeDoesNotHoldIt(double number, string expected)
    {
        string found = Text(Lowered((g, input) => g.MatMul(input("a", [4, 4]), input("b", [4, 4])) * number));
        Assert.AreEqual($"Cast:b Cast:b MatMul:b {expected}", found);
    }

    [TestMethod]
    [DataRow(0.5, "Cast:h Cast:h MatMul:h Mul:h Cast:f")]
    [DataRow(1e-5, "Cast:h Cast:h MatMul:h Cast:f Mul:f")]
    [DataRow(1e5, "Cast:h Cast:h MatMul:h Cast:f Mul:f")]
    public void Float16_HoldsFewerNumbers(double number, string expected) => Assert.AreEqual(expected,
        Text(Lowered((g, input) => g.MatMul(input("a", [4, 4]), input("b", [4, 4])) * number, ElementType.Float16)));

    [TestMethod]
    public void AValueIsCastOnce_AndAConstantWhenTheGraphIsWritten()
    {
        OnnxModel lowered = Lowered((g, input) =>
        {
            Term a = input("a", [4, 4]), c = g.Constant(TensorData.From<float>(new float[16], 4, 4));
            return g.Op("Concat", [g.MatMul(a, c), g.MatMul(a, a)], ("axis", 0));
        });
        Assert.AreEqual("Cast:b MatMul:b MatMul:b Concat:b Cast:f", Text(lowered));
        Assert.AreEqual(Low, lowered.Graph.Initializers.Single().Type);
    }

    // Widening is exact, so what is narrowed again is what it was.
    [TestMethod]
    public void AResultThatIsWidened_IsNotRoundedAgain()
    {
        OnnxModel lowered = Lowered((g, input) =>
        {
            Term a = input("a", [4, 4]), y = g.MatMul(a, a);
            return g.MatMul(g.Op("Cast", [y], ("to", (long)ElementType.Float)), a);
        });
        Assert.AreEqual("Cast:b MatMul:b MatMul:b Cast:f", Text(lowered));
    }

    [TestMethod]
    public void ABody_StaysFloat32_AndReadsWhatItCapturesWidened()
    {
        OnnxModel model = OnnxModel.Create("branch", 18);
        OnnxGraph graph = model.Graph;
        var g = new GraphBuilder(graph);
        Value a = graph.AddInput("a", ElementType.Float, Shape.Of(4, 4)), condition = graph.AddInput("c", ElementType.Bool, Shape.Of());
        Value y = g.MatMul(a, a);
        OnnxGraph Body(string name)
        {
            var body = new OnnxGraph(name, graph.Names);
            body.Outputs.Add(new GraphBuilder(body) { Scope = name }.MatMul(y, y));
            return body;
        }
        Value result = g.Op("If", [condition], ("then_branch", Body("then")), ("else_branch", Body("else")));
        graph.Outputs.Add(GraphBuilder.Typed(result, ElementType.Float, Shape.Of(4, 4)));
        OnnxModel lowered = LowerPrecision.Run(model, Low);
        Assert.AreEqual("Cast:b MatMul:b Cast:f If:f", Text(lowered));
        foreach (Node inner in lowered.Graph.Nodes[^1].Subgraphs.SelectMany(b => b.Nodes))
            Assert.IsTrue(inner.Inputs.All(i => i!.Type == ElementType.Float) && inner.Outputs[0]!.Type == ElementType.Float);
    }

    [TestMethod]
    public void OperatorsOfTheTable_AreThoseThatThereAre()
    {
        var known = OperatorRow.All.Select(r => r.Domain == "ai.onnx" ? r.Name : $"{r.Domain}.{r.Name}")
            .Concat(OperatorTable.All.Select(d => d.QualifiedName)).ToHashSet();
        string[] unknown = [.. Enum.GetValues<PrecisionClass>().SelectMany(PrecisionPolicy.With).Where(op => !known.Contains(op))];
        Assert.IsEmpty(unknown, string.Join(", ", unknown));
        var rows = Enum.GetValues<PrecisionClass>().SelectMany(PrecisionPolicy.With).ToHashSet();
        string[] without = [.. OperatorTable.All.Select(d => d.QualifiedName).Where(op => !rows.Contains(op))];
        CollectionAssert.AreEqual(new[] { SquaredNorm.Definition.QualifiedName, SumOverRanks.Definition.QualifiedName },
            without, "operators of ours");
    }
}
