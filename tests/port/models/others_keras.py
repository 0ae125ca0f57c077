"""Models of keras.applications and keras-hub, with random values."""

import keras

_OPTIONS = {"weights": None, "classes": 10, "classifier_activation": None, "input_shape": (64, 64, 3)}


def mobilenet():
    return keras.applications.MobileNetV3Small(**_OPTIONS, include_preprocessing=False)


def efficientnet():
    return keras.applications.EfficientNetB0(**_OPTIONS)


def densenet():
    return keras.applications.DenseNet121(**_OPTIONS)


def convnext():
    return keras.applications.ConvNeXtTiny(**_OPTIONS, include_preprocessing=False)


def resnet50():
    return keras.applications.ResNet50(**_OPTIONS)


def bert():
    from keras_hub.models import BertBackbone

    return BertBackbone(
        vocabulary_size=50,
        num_layers=2,
        num_heads=3,
        hidden_dim=24,
        intermediate_dim=40,
        max_sequence_length=16,
    )


def gpt2():
    from keras_hub.models import GPT2Backbone

    return GPT2Backbone(
        vocabulary_size=50,
        num_layers=2,
        num_heads=3,
        hidden_dim=24,
        intermediate_dim=96,
        max_sequence_length=16,
    )
