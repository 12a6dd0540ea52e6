# Copyright 2026 diffusion_planner_ros developers
# SPDX-License-Identifier: Apache-2.0
"""
A managed node that loses what DDS loses now and then: the first request or answer of each service.

``python unheard_node.py request|answer NAME``; it prints every transition that it makes.
"""

import sys

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class UnheardNode(LifecycleNode):
    """Counts its transitions."""

    def on_configure(self, state):
        print('configured', flush=True)
        return TransitionCallbackReturn.SUCCESS

    def on_activate(self, state):
        print('refused', flush=True)
        return TransitionCallbackReturn.FAILURE


def lose_first(service, what):
    callback, send, lost = service.callback, service.send_response, []

    def send_unless_first(response, header):
        if lost:
            send(response, header)
        lost.append(what)

    if what == 'answer':
        service.send_response = send_unless_first
        return

    def callback_unless_first(request, response):
        if not lost:
            lost.append(what)
            service.send_response = lambda response, header: None
            return response
        service.send_response = send
        return callback(request, response)

    service.callback = callback_unless_first


def main():
    what, name = sys.argv[1:]
    rclpy.init()
    node = UnheardNode(name)
    for service in node.services:
        if service.srv_name.endswith(('change_state', 'set_parameters')):
            lose_first(service, what)
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    executor.spin()


if __name__ == '__main__':
    main()
