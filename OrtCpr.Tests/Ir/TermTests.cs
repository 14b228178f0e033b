using OrtCpr.Graph;
using OrtCpr.Graph.Ir;

namespace OrtCpr.Tests.Ir;

/// <summary>Operators on terms write the nodes of the formula, in the order in which C# evaluates it.</summary>
[TestClass]
public sealed class TermTests
{
    private static string[] Written(Func<GraphBuilder, Term, Value, Value> formula)
    {
        var graph = new OnnxGraph("formula", new NameAuthority());
        Value x = graph.AddInput("x", ElementType.Float, Shape.Of(2, 3)), y = graph.AddInput("y", ElementType.Float, Shape.Of(3));
        var g = new GraphBuilder(graph);
        _ = formula(g, g.Term(x), y);
        return [.. graph.Nodes.Select(n => n.ToString())];
    }

    [TestMethod]
    public void AFormula_IsItsNodes() => CollectionAssert.AreEqual(
        new[] { "Sub = Sub(const/1, x)", "Mul = Mul(x, Sub)", "Add = Add(Mul, y)", "Neg = Neg(Add)" },
        Written((g, x, y) => -(x * (1 - x) + y)));

    [TestMethod]
    public void Comparisons_GiveBooleans()
    {
        CollectionAssert.AreEqual(
            new[] { "Greater = Greater(x, const/0)", "LessOrEqual = LessOrEqual(x, y)", "And = And(Greater, LessOrEqual)",
                "Not = Not(And)" },
            Written((g, x, y) => !((x > 0) & (x <= y))));
        _ = Written((g, x, y) =>
        {
            Term above = x > y;
            Assert.AreEqual(ElementType.Bool, above.Type);
            Assert.AreEqual("[2,3]", above.Shape!.ToString());
            return above;
        });
    }

    [TestMethod]
    public void NumbersOnEitherSide_BecomeOneSharedConstantOfTheTermsType() => CollectionAssert.AreEqual(
        new[] { "Mul = Mul(const/2, x)", "Div = Div(Mul, const/2)", "Less = Less(const/2, Div)" },
        Written((g, x, y) => 2 < 2 * x / 2));

    [TestMethod]
    public void GraphsAreReadOnly_ForWhoLooksAtThem()
    {
        var graph = new OnnxGraph("g", new NameAuthority());
        Node node = new GraphBuilder(graph).Neg(graph.AddInput("x", ElementType.Float, null)).Value.Producer!;
        Assert.IsNotInstanceOfType<ICollection<Value?>>(node.Inputs);
        Assert.IsNotInstanceOfType<ICollection<Value?>>(node.Outputs);
        Assert.IsNotInstanceOfType<ICollection<Value>>(graph.Inputs);
    }
}
