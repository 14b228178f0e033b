using OrtCpr.Graph;

namespace OrtCpr.Tests;

[TestClass]
public sealed class ElementTypeTests
{
    [TestMethod]
    public void BitsPerElement_FollowOnnx()
    {
        Assert.AreEqual(32, ElementType.Float.BitsPerElement());
        Assert.AreEqual(4, ElementType.Int4.BitsPerElement());
    }
}
