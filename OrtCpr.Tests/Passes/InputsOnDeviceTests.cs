using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Passes;
using OrtCpr.Sessions;
using OrtCpr.Tests.Devices;

namespace OrtCpr.Tests.Passes;

/// <summary>A number of the host beside an input of the graph does not pull the input's data to the CPU.</summary>
[TestClass]
public sealed class InputsOnDeviceTests
{
    /// <summary>y = (x/count(x)) over the rows of x.</summary>
    private static OnnxModel Divided(params long[] constants)
    {
        OnnxModel model = OnnxModel.Create("divided", 18);
        var g = new GraphBuilder(model.Graph);
        Term x = g.Term(model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("a"), SymbolicInt.Symbol("b"))));
        Term count = g.Cast(g.Op("ReduceProd", [g.Op("Shape", [x])], ("keepdims", 0L)), ElementType.Float);
        foreach (long constant in constants) count = count + constant;
        model.Graph.Outputs.Add(g.Named((x / count).Typed(ElementType.Float, x.Shape), "y"));
        return model;
    }

    private static string[] Refused(OnnxModel model) =>
        [.. PlacedNodes.Refused(model.Graph, CudaPlacement.OnCpu(model.Graph)).Select(n => n.OpType)];

    [TestMethod]
    public void DataBesideACount_StaysOnTheDevice()
    {
        OnnxModel model = Divided(1, 2);
        CollectionAssert.AreEqual(new[] { "Div" }, Refused(model), "the trap");
        InputsOnDevice.Run(model.Graph);
        Assert.IsEmpty(Refused(model));
        CollectionAssert.AreEqual(new[] { "Where" }, model.Graph.Nodes.Take(1).Select(n => n.OpType).ToArray());
        Assert.AreEqual("Where", model.Graph.Nodes.Single(n => n.OpType == "Div").Inputs[0]!.Producer!.OpType);
        Assert.AreEqual("x", model.Graph.Nodes.Single(n => n.OpType == "Shape").Inputs[0]!.Name, "what only asks for the shape reads x");
    }

    /// <summary>An operator that wants its sizes on the host is put on the device anyway: nothing is copied for it.</summary>
    [TestMethod]
    public void SizesOfAnOperator_ChangeNothing()
    {
        OnnxModel model = OnnxModel.Create("sizes", 18);
        var g = new GraphBuilder(model.Graph);
        Value x = model.Graph.AddInput("x", ElementType.Float, new Shape(SymbolicInt.Symbol("a"), 2)),
            rate = model.Graph.AddInput("rate", ElementType.Float, Shape.Scalar);
        Term size = g.Op("Shape", [x]), reshaped = g.Op("Reshape", [x, size]);
        Term scaled = rate / g.Cast(g.Op("Size", [x]), ElementType.Float);
        model.Graph.Outputs.Add(g.Named((reshaped * scaled).Typed(ElementType.Float, x.Shape), "y"));
        int before = model.Graph.Nodes.Count;
        InputsOnDevice.Run(model.Graph);
        Assert.HasCount(before, model.Graph.Nodes);
        Assert.IsEmpty(Refused(model));
    }
}
