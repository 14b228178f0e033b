using OrtCpr.Graph.Ir;

namespace OrtCpr.Graph.Passes;

/// <summary>Operators that ONNX has given up, in terms of those that came after them.</summary>
internal static partial class UpgradeOpset
{
    /// <summary>Upsample and the first Resize are Resize with asymmetric coordinates. That Resize took the nearest
    /// pixel below where an axis grows and above where it shrinks, which is one Resize for the growing axes and one for
    /// the others.</summary>
    private static void Resize(Node node, Upgrade u, string nearestDown)
    {
        bool nearest = node.Text("mode", "nearest") == "nearest";
        node.OpType = "Resize";
        node.Set("coordinate_transformation_mode", "asymmetric");
        node.Inputs.Insert(1, null);
        Value scales = node.Inputs[2]!;
        if (!nearest) return;
        double[]? known = scales.Data?.ToDoubles();
        bool grows = nearestDown == "floor" || known?.All(s => s >= 1) == true;
        node.Set("nearest_mode", grows ? "floor" : "ceil");
        if (grows || known?.All(s => s <= 1) == true) return;
        Value one = u.Constant($"{node.Outputs[0]!.Name}/one", TensorData.From<float>([1], 1)), x = node.Inputs[0]!;
        Value up = u.NewValue($"{node.Outputs[0]!.Name}/up", scales);
        Value down = u.NewValue($"{node.Outputs[0]!.Name}/down", scales);
        Value grown = u.NewValue($"{node.Outputs[0]!.Name}/grown", x);
        u.NewNode("Max", [scales, one], up, u.Nodes);
        u.NewNode("Min", [scales, one], down, u.Nodes);
        u.NewNode("Resize", [x, null, up], grown, u.Nodes).Set("mode", "nearest").Set("coordinate_transformation_mode", "asymmetric").Set(
            "nearest_mode", "floor");
        (node.Inputs[0], node.Inputs[2]) = (grown, down);
    }

    /// <summary>alpha·x + beta.</summary>
    private static void Affine(Node node, Upgrade u, float alpha, float beta) =>
        Become(node, "Add", u.Before(node, "Mul", node.Inputs[0], u.Scalar(node, "alpha", alpha)), u.Scalar(node, "beta", beta));

    /// <summary>alpha·f(beta·x).</summary>
    private static void Scaled(Node node, Upgrade u, string function)
    {
        Value inner = u.Before(node, "Mul", node.Inputs[0], u.Scalar(node, "beta", node.Float("beta", 1)));
        Become(node, "Mul", u.Before(node, function, inner), u.Scalar(node, "alpha", node.Float("alpha", 1)));
    }

    /// <summary>scale·x + bias, one bias a channel.</summary>
    private static void ImageScaler(Node node, Upgrade u)
    {
        float[] bias = node.Floats("bias") ?? [];
        Value offsets = u.Constant($"{node.Outputs[0]!.Name}/bias", TensorData.From<float>(bias, bias.Length, 1, 1));
        Become(node, "Add", u.Before(node, "Mul", node.Inputs[0], u.Scalar(node, "scale", node.Float("scale", 1))), offsets);
    }

    /// <summary>border = [left, top, right, bottom]; with scale = [height, width] the far borders do not
    /// count.</summary>
    private static void Crop(Node node, Upgrade u)
    {
        long[] border = node.Ints("border") ?? new long[4];
        long[] ends = node.Ints("scale") is [long height, long width] ? [border[1] + height, border[0] + width]
            : [border[3] == 0 ? long.MaxValue : -border[3], border[2] == 0 ? long.MaxValue : -border[2]];
        Become(node, "Slice", node.Inputs[0], u.Ints(node, "starts", border[1], border[0]), u.Ints(node, "ends", ends),
            u.Ints(node, "axes", 2, 3));
    }
}
