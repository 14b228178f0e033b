using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>The first Scan.</summary>
internal static partial class UpgradeOpset
{
    /// <summary>The first Scan ran its body for each example on its own, with the batch on axis 0 and the time on axis
    /// 1: a Scan over the examples, whose body is the Scan over the time.</summary>
    private static void BatchedScan(Node node, Upgrade u)
    {
        if (node.In(0) is Value lengths)
        {
            throw new ModelFormatException($"Node {node.Label}: its sequences have lengths of their own ('{lengths.Name}'), which no later "
                + "Scan has. Export the model again with opset 9 or later, with the lengths as a mask.");
        }
        node.Inputs.RemoveAt(0);
        OnnxGraph inner = node.Graph("body");
        int scanned = (int)node.Int("num_scan_inputs", 0);
        var outer = new OnnxGraph($"{inner.Name}/example", inner.Names);
        var overTime = new Node("", "Scan", inner.Names.Unique($"{node.Outputs.First(o => o is not null)!.Name}/time"));
        for (int i = 0; i < node.Inputs.Count; i++)
        {
            Value example = outer.AddInput($"{inner.Inputs[i].Name}/example", node.Inputs[i]!.Type, null);
            if (example.Type == ElementType.Undefined) example.Type = inner.Inputs[i].Type;
            overTime.Inputs.Add(example);
        }
        for (int i = 0; i < node.Outputs.Count; i++)
        {
            var result = new Value(inner.Names.Unique($"{inner.Outputs[i].Name}/example"), inner.Outputs[i].Type) { Producer = overTime };
            overTime.Outputs.Add(result);
            outer.Outputs.Add(result);
        }
        overTime.Set("body", inner).Set("num_scan_inputs", scanned);
        if (node.Ints("directions") is long[] directions) overTime.Set("scan_input_directions", directions);
        node.Unset("directions");
        outer.Nodes.Add(overTime);
        node.Set("body", outer).Set("num_scan_inputs", node.Inputs.Count);
    }
}
